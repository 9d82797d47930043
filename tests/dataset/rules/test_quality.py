"""D13: low quality that stays in is tagged as such."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.quality import RULE
from tests.dataset.evidences import evidence, picture, pictures


def passing() -> Evidence:
    return evidence([picture("soft.png", "blurry"), *pictures(20)], blur={"soft.png": 0.3})


def failing() -> Evidence:
    return evidence([picture("soft.png", "smile"), *pictures(20)], blur={"soft.png": 0.3})


@pytest.mark.parametrize("tag", ["low quality", "worst_quality", "Blurry", "lowres", "jpeg artifacts"])
def test_every_usual_word_will_do(tag: str) -> None:
    assert list(RULE.check(evidence([picture("soft.png", tag)], blur={"soft.png": 0.3}))) == []


def test_it_is_a_note_that_names_the_images() -> None:
    (finding,) = RULE.check(failing())
    assert (finding.level, finding.images) == ("note", ("soft.png",))
