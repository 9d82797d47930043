"""L2: every image looks like the others of its set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import AutoFix
from lorasmith.dataset.rules.unlike import RULE
from tests.dataset.evidences import evidence, picture, pictures

USUAL = {f"p{number:03}.png": 0.12 + 0.005 * number for number in range(20)}
SAID = [*pictures(20), picture("other.png")]


def passing() -> Evidence:
    return evidence(SAID, apart=USUAL | {"other.png": 0.2})


def failing() -> Evidence:
    return evidence(SAID, apart=USUAL | {"other.png": 0.3})


def test_what_is_apart_is_told_and_a_person_decides() -> None:
    (finding,) = RULE.check(failing())
    assert (finding.level, finding.images, finding.fix) == ("warning", ("other.png",), None)


def test_what_is_surely_another_subject_goes() -> None:
    (finding,) = RULE.check(evidence(SAID, apart=USUAL | {"other.png": 0.38}))
    assert finding.fix == AutoFix("reject", ("other.png",))
    (finding,) = RULE.check(evidence(SAID, apart=USUAL | {"other.png": 0.5, "p001.png": 0.6}))
    assert (finding.images, finding.fix) == (("p001.png", "other.png"), None)  # two: perhaps the set has two sides


def test_a_varied_set_tells_nothing() -> None:
    far = {name: 0.25 + 0.005 * number for number, name in enumerate(USUAL)}
    assert list(RULE.check(evidence(SAID, apart=far | {"other.png": 0.4}))) == []
    many = {name: 0.4 if number % 6 == 0 else 0.1 for number, name in enumerate(USUAL)}
    assert list(RULE.check(evidence(SAID, apart=many))) == []


@pytest.mark.parametrize("spared", ["kept", "blurred", "no encoder"])
def test_what_is_kept_or_spoiled_or_was_not_looked_at_is_not_named(spared: str) -> None:
    found = failing()
    if spared == "kept":
        found = replace(found, kept=frozenset({"other.png"}))
    elif spared == "blurred":
        found = replace(found, blur={"other.png": 0.5})
    else:
        found = replace(found, apart={})
    assert list(RULE.check(found)) == []
