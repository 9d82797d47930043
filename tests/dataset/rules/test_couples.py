"""D8: a couple together in all positions, interacting and not, neither dominates."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.couples import RULE
from lorasmith.project import SubjectKind
from tests.dataset.evidences import Said, altered, evidence, picture, pictures

SHOTS = (
    *("portrait, face-to-face, holding hands", "upper body, side-by-side", "full body, front-to-side"),
    *("full body, back-to-back", "cowboy shot, hug from behind", "upper body, back-to-side"),
)
TOGETHER = [
    picture(f"{number}.png", f"anna, ben, {tags}", repeats=3 if number < 3 else 1) for number, tags in enumerate(SHOTS)
]


def couple(said: list[Said]) -> Evidence:
    return evidence(said, SubjectKind.COUPLE, trigger="anna and ben couple focus")


def passing() -> Evidence:
    return couple(TOGETHER)


def failing() -> Evidence:
    return couple([said for said in TOGETHER if "back-to-back" not in said[1]])


@pytest.mark.parametrize("position", ["side-by-side", "front-to-side", "back-to-back", "back-to-side"])
def test_each_position_is_asked_for(position: str) -> None:
    (finding,) = RULE.check(couple([(item, tags.replace(position, "smile")) for item, tags in TOGETHER]))
    assert finding.message == f"not shown, as far as tags and labels tell: {position}."


def test_interaction() -> None:
    (finding,) = RULE.check(
        couple(
            [
                (
                    item,
                    tags.replace("holding hands", "")
                    .replace("hug from behind", "back-to-front")
                    .replace("face-to-face", "front-to-front"),
                )
                for item, tags in TOGETHER
            ]
        )
    )
    assert finding.message.endswith(": interacting.")


def test_neither_dominates() -> None:
    alone = pictures(5, "anna, solo", prefix="anna"), pictures(2, "ben, solo", prefix="ben")
    (finding,) = RULE.check(couple([*TOGETHER, *alone[0], *alone[1]]))
    assert finding.level == "warning"
    assert finding.message.startswith("anna stands alone in 5 images, ben in 2")
    assert list(RULE.check(couple([*TOGETHER, *alone[0][:4], *alone[1]]))) == []


def test_three_images_are_shown_oftener() -> None:
    flat = [picture(item.name, tags) for item, tags in TOGETHER]
    (finding,) = RULE.check(couple(flat))
    assert "0 images are shown oftener" in finding.message
    copies = [picture(f"made/{n}.png", "anna, ben", lineage=altered("flip", f"{n}.png")) for n in range(3)]
    assert list(RULE.check(couple([*flat, *copies]))) == []


def test_other_kinds_are_not_asked() -> None:
    assert list(RULE.check(evidence(pictures(9, "solo")))) == []
