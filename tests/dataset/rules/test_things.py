"""D10: a thing in different light, company and surroundings, from several sides."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.things import RULE
from lorasmith.project import SubjectKind
from tests.dataset.evidences import Said, evidence, pictures

SIGHTS = (
    *("day, forest", "sunset, from above", "night, from side", "rain", "snow", "fire", "lightning", "1girl"),
    *("close-up", "white background"),
)
THING = [said for number, tags in enumerate(SIGHTS) for said in pictures(2, tags, prefix=f"s{number}-")]


def thing(said: list[Said], kind: SubjectKind = SubjectKind.ASSET) -> Evidence:
    return evidence(said, kind)


def passing() -> Evidence:
    return thing(THING)


def failing() -> Evidence:
    return thing(pictures(20, "day, white background, front view"))


@pytest.mark.parametrize(
    ("without", "word"), [("night", "night"), ("snow", "snow"), ("1girl", "people or animals"), ("close-up", "cropped")]
)
def test_each_sight_is_asked_for(without: str, word: str) -> None:
    (finding,) = RULE.check(thing([(item, tags.replace(without, "chair")) for item, tags in THING]))
    assert word in finding.message


def test_one_side_and_one_background() -> None:
    messages = [finding.message for finding in RULE.check(failing())]
    assert "one viewpoint only (front)." in messages
    assert "one background only (white background)." in messages


def test_clothing_is_worn_and_seen_from_all_sides() -> None:
    worn = [*pictures(5, "1girl, upper body, forest, close-up"), *pictures(5, "1girl, white background", prefix="q")]
    finding, _ = RULE.check(thing(worn, SubjectKind.CLOTHING))
    assert finding.message.endswith("from behind, from side.")
    sides = [*worn, *pictures(2, "from behind", prefix="b"), *pictures(2, "from side", prefix="c")]
    assert list(RULE.check(thing(sides, SubjectKind.CLOTHING))) == []


def test_other_kinds_are_not_asked() -> None:
    assert list(RULE.check(evidence(pictures(9, "solo")))) == []
