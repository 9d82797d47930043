"""D5: a character from front, back and sides, near and far, mostly with a clear face."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.views import RULE
from lorasmith.project import MemberTable, SubjectKind
from tests.dataset.evidences import Said, evidence, pictures

VIEWS = (
    *("portrait, looking at viewer", "upper body, from behind", "cowboy shot, from side, facing left"),
    *("full body, profile, facing right", "upper body, foreshortening", "eye focus, close-up", "hair focus"),
)
EACH = [said for number, tags in enumerate(VIEWS) for said in pictures(2, tags, prefix=f"v{number}-")]


def passing() -> Evidence:
    return evidence(EACH)


def failing() -> Evidence:
    return evidence([said for said in EACH if "from behind" not in said[1]])


def lacking(said: list[Said], **more: object) -> str:
    return " ".join(finding.message for finding in RULE.check(evidence(said, **more)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("without", "word"),
    [
        ("from behind", "from behind"),
        ("facing left", "left side"),
        ("facing right", "right side"),
        ("foreshortening", "foreshortening"),
        ("eye focus", "eye focus"),
        ("hair focus", "hair focus"),
    ],
)
def test_each_view_is_asked_for(without: str, word: str) -> None:
    said = lacking([(item, tags.replace(without, "smile")) for item, tags in EACH])
    assert said == f"not shown, as far as tags and labels tell: {word}."


def test_both_sides_are_asked_for_only_when_there_is_a_side() -> None:
    assert lacking(pictures(9, "upper body")).endswith(
        "face, from behind, from side, foreshortening, eye focus, hair focus."
    )


def test_most_images_show_the_face() -> None:
    said = [*EACH, *pictures(20, "full body, from behind", prefix="b")]
    (finding,) = RULE.check(evidence(said))
    assert (finding.level, len(finding.images)) == ("warning", 22)


def test_a_sentence_is_heard_too() -> None:
    spoken = [(item, f"a picture of the person, {tags}".replace(",", " and")) for item, tags in EACH]
    assert lacking(spoken) == ""


def test_a_tagger_is_heard_too() -> None:
    seen = {item.name: tuple(tags.split(", ")) for item, tags in EACH}
    assert lacking([(item, "smile") for item, _ in EACH], seen=seen) == ""


def test_each_member_of_a_bundle_is_asked() -> None:
    bundle = {name: MemberTable(trigger=name, folders=(name,)) for name in ("anna", "ben")}
    said = [
        (pictures(1, tags, prefix=f"{member}{number}", member=member)[0][0], tags)
        for member in bundle
        for number, tags in enumerate(VIEWS if member == "anna" else VIEWS[:-1])
    ]
    assert lacking(said, bundle=bundle) == "ben: not shown, as far as tags and labels tell: hair focus."


def test_other_kinds_are_not_asked() -> None:
    assert list(RULE.check(evidence(pictures(9, "portrait"), SubjectKind.STYLE))) == []
