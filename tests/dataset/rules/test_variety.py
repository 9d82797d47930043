"""D4: at least two examples of everything that shall be promptable."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.variety import RULE
from lorasmith.project import SubjectKind
from tests.dataset.evidences import evidence, picture, pictures

VARIED = [
    *pictures(10, "portrait, red shirt, sitting", prefix="a"),
    *pictures(10, "full body, from behind, blue dress, forest", prefix="b"),
]


def passing() -> Evidence:
    return evidence(VARIED)


def failing() -> Evidence:
    return evidence([*VARIED, picture("once.png", "upper body, from below, red dress, running, beach")])


def test_what_only_one_image_shows_is_named() -> None:
    (finding,) = RULE.check(failing())
    assert finding.level == "note"
    assert finding.images == ("once.png",)
    for word in ("face and body", "from below", "red dress", "running", "beach"):
        assert word in finding.message


@pytest.mark.parametrize(
    ("tags", "word"), [("portrait, smile", "full body"), ("close-up", "full body"), ("full_body, smile", "portrait")]
)
def test_one_framing_only(tags: str, word: str) -> None:
    (finding,) = RULE.check(evidence(pictures(12, tags)))
    assert finding.level == "warning"
    assert f"Prompts for a {word} will fail" in str(finding.advice)


def test_a_label_of_the_user_counts() -> None:
    said = [*pictures(10, "portrait"), *pictures(2, "smile", prefix="x", facets=("Full Body",))]
    assert list(RULE.check(evidence(said))) == []


def test_nothing_is_said_where_most_images_have_no_tags_or_the_rule_does_not_speak() -> None:
    assert list(RULE.check(evidence([*pictures(3, "portrait"), *pictures(9, prefix="x")]))) == []
    assert list(RULE.check(evidence(pictures(9, "close-up"), SubjectKind.ASSET))) == []
