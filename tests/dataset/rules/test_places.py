"""D9: a place in different light and weather, inhabited, indoors or outdoors."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.places import RULE
from lorasmith.project import SubjectKind
from tests.dataset.evidences import Said, evidence, pictures

SIGHTS = (
    *("day, outdoors", "sunset, from above", "night, wide shot", "rain", "snow", "fire", "lightning"),
    *("people in the distance, people", "cropped"),
)
PLACE = [said for number, tags in enumerate(SIGHTS) for said in pictures(2, tags, prefix=f"s{number}-")]


def place(said: list[Said]) -> Evidence:
    return evidence(said, SubjectKind.BACKGROUND)


def passing() -> Evidence:
    return place(PLACE)


def failing() -> Evidence:
    return place([said for said in PLACE if "night" not in said[1]])


@pytest.mark.parametrize(
    ("without", "word"),
    [
        ("day", "day"),
        ("sunset", "evening"),
        ("night", "night"),
        ("rain", "rain"),
        ("snow", "snow"),
        ("fire", "fire"),
        ("lightning", "thunder"),
        ("people", "people or animals"),
        ("cropped", "cropped section"),
    ],
)
def test_each_sight_is_asked_for(without: str, word: str) -> None:
    (finding,) = RULE.check(place([(item, tags.replace(without, "building")) for item, tags in PLACE]))
    assert (finding.level, finding.message) == ("note", f"not shown, as far as tags and labels tell: {word}.")


def test_several_viewpoints() -> None:
    plain = [(item, tags.replace("from above", "sky").replace("wide shot", "sky")) for item, tags in PLACE]
    (finding,) = RULE.check(place(plain))
    assert "one viewpoint only (front)" in finding.message


def test_nobody_is_in_focus() -> None:
    (finding,) = RULE.check(place([*PLACE, *pictures(1, "1girl, portrait", prefix="x")]))
    assert (finding.level, finding.images) == ("warning", ("x000.png",))


def test_inside_and_outside_are_two_places() -> None:
    said = [*PLACE, *pictures(4, "indoors", prefix="in"), *pictures(8, "outdoors", prefix="out")]
    (finding,) = RULE.check(place(said))
    assert (finding.level, len(finding.images)) == ("warning", 4)
    assert "two places in one" in finding.message


def test_other_kinds_are_not_asked() -> None:
    assert list(RULE.check(evidence(pictures(9, "solo")))) == []
