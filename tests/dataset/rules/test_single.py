"""D14: a single image is cut and varied into a first round of 15 to 20."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.single import RULE
from lorasmith.project import SubjectKind
from lorasmith.remedies import Action, Do
from tests.dataset.evidences import Said, altered, evidence, picture, pictures, steps

ONE = picture("one.png", "smile")


def cuts(count: int) -> list[Said]:
    return [picture(f"made/{number}.png", "smile", lineage=altered("cut", "one.png")) for number in range(count)]


GREY = picture("made/grey.png", "greyscale", lineage=altered("grayscale", "one.png"))


def passing() -> Evidence:
    return evidence([ONE, GREY, *cuts(13)])


def failing() -> Evidence:
    return evidence([ONE])


@pytest.mark.parametrize(("count", "enough"), [(12, False), (13, True), (18, True), (19, False)])
def test_fifteen_to_twenty_with_the_original(count: int, enough: bool) -> None:
    assert (list(RULE.check(evidence([ONE, GREY, *cuts(count)]))) == []) is enough


def test_a_grayscale_version_is_a_must() -> None:
    (finding,) = RULE.check(evidence([ONE, *cuts(16)]))
    assert "grayscale" in finding.message
    grey_part = picture("made/head.png", "greyscale", lineage=altered("cut, grayscale", "one.png"))
    assert list(RULE.check(evidence([ONE, *cuts(16), grey_part]))) == []


@pytest.mark.parametrize(
    ("kind", "how"), [("background", "like a pizza"), ("asset", "lengthwise and across"), ("character", "head, eyes")]
)
def test_how_to_cut(kind: str, how: str) -> None:
    (finding,) = RULE.check(evidence([ONE], SubjectKind(kind)))
    assert how in str(finding.advice)
    assert steps(finding.advice) == [Do(Action.CUT, project="PROJECT", image="one.png")]


def test_two_images_are_no_single_one() -> None:
    assert list(RULE.check(evidence(pictures(2)))) == []


def test_two_copies_of_one_image_are() -> None:
    assert list(RULE.check(evidence([ONE, picture("again.png", sha256="one.png")]))) != []
