"""D16: balance of folders, roles and members."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import AutoFix
from lorasmith.dataset.rules.balance import RULE
from lorasmith.remedies import Action, Do
from tests.dataset.evidences import evidence, picture, pictures, steps


def roles(primary: int, repeats: int, supporting: int) -> Evidence:
    first = pictures(primary, prefix="p", role="primary", repeats=repeats)
    return evidence([*first, *pictures(supporting, prefix="s", role="supporting")])


def passing() -> Evidence:
    return evidence(pictures(20))


def failing() -> Evidence:
    return roles(10, 1, 20)


def test_shares_of_folders() -> None:
    said = [*pictures(58, prefix="a", folder="5_primary", repeats=5), *pictures(164, prefix="b", folder="1_rest")]
    (finding,) = RULE.check(evidence(said))
    assert finding.level == "note"
    assert "5_primary: 58 images x 5 = 64%; 1_rest: 164 images x 1 = 36%" in finding.message


def test_one_folder_with_two_repeats_is_shown_twice() -> None:
    said = [*pictures(3, prefix="a", folder="x", repeats=5), *pictures(5, prefix="b", folder="x")]
    (finding,) = RULE.check(evidence(said))
    assert "x (x 5): 3 images x 5 = 75%; x (x 1): 5 images x 1 = 25%" in finding.message


def test_a_year_is_no_repeats() -> None:
    said = [*pictures(3), picture("x.png", folder="2019_holiday", repeats=2019)]
    warning, _ = RULE.check(evidence(said))
    assert (warning.level, warning.images) == ("warning", ("x.png",))
    assert warning.fix == AutoFix("show once", ("x.png",))


@pytest.mark.parametrize(
    ("primary", "repeats", "supporting", "fits"),
    [(58, 5, 164, True), (10, 4, 20, True), (10, 1, 20, False), (10, 9, 20, False), (0, 1, 20, True)],
)
def test_primaries_count_about_double(primary: int, repeats: int, supporting: int, fits: bool) -> None:
    found = [finding for finding in RULE.check(roles(primary, repeats, supporting)) if finding.level == "warning"]
    assert (found == []) is fits
    assert all(Do(Action.SOLVE, project="PROJECT") in steps(finding.advice) for finding in found)


def test_no_member_dominates() -> None:
    said = [*pictures(30, prefix="a", member="anna"), *pictures(15, prefix="b", member="ben")]
    assert list(RULE.check(evidence(said))) == []
    (finding,) = RULE.check(evidence(said[:-1]))
    assert finding.message == "anna is shown 30 times an epoch, ben 14 times."
