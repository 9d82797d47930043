"""L1: every image shows the subject, not another one."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import AutoFix
from lorasmith.dataset.rules.others import RULE
from lorasmith.project import MemberTable, SubjectKind
from tests.dataset.evidences import evidence, picture, pictures

TAGGED = pictures(20, "zbk, 1girl, blue_hair, long hair, red eyes, pale skin, smile")
PRUNED = pictures(20, "zbk, smile, red shirt, open eyes")
OTHER = picture("other.png", "zbk, 1boy, blonde hair, short hair, green eyes")


def passing() -> Evidence:
    return evidence(TAGGED)


def failing() -> Evidence:
    return evidence([*TAGGED, OTHER])


@pytest.mark.parametrize("base", [TAGGED, PRUNED], ids=["tagged", "left to the trigger"])
def test_somebody_else_is_found(base: list[tuple[object, str]]) -> None:
    (finding,) = RULE.check(evidence([*base, OTHER]))  # type: ignore[list-item]
    assert (finding.level, finding.images) == ("warning", ("other.png",))
    assert finding.fix == AutoFix("reject", ("other.png",))
    assert "blonde hair" in finding.message


@pytest.mark.parametrize(
    "tags",
    [
        "1girl, blue hair, long hair, closed eyes, smile",
        "1girl, black hair, long hair, red eyes",
        "from behind, blue hair",
        "1girl, 1boy, blue hair, blonde hair, red eyes",
        "",
    ],
)
def test_one_difference_more_persons_or_silence_are_no_fault(tags: str) -> None:
    assert list(RULE.check(evidence([*TAGGED, picture("x.png", tags)]))) == []


def test_a_varied_set_has_no_majority() -> None:
    colours, cuts = ("red", "blue", "black", "green"), ("long", "short", "wavy")
    said = [
        picture(f"{number}.png", f"{colours[number % 4]} hair, {cuts[number % 3]} hair, {colours[number % 3]} eyes")
        for number in range(36)
    ]
    assert list(RULE.check(evidence(said))) == []


def test_a_set_without_tags_or_a_handful_of_images() -> None:
    assert list(RULE.check(evidence([*pictures(20), OTHER]))) == []
    assert list(RULE.check(evidence([*TAGGED[:3], OTHER]))) == []


def test_what_a_tagger_sees_counts_where_captions_are_silent() -> None:
    seen = {item.name: ("blue hair", "long hair", "red eyes") for item, _ in PRUNED}
    silent = picture("other.png", "zbk, smile")
    found = list(RULE.check(evidence([*PRUNED, silent], seen=seen | {"other.png": ("red hair", "short hair")})))
    assert [finding.images for finding in found] == [("other.png",)]
    assert list(RULE.check(evidence([*PRUNED, silent], seen=seen))) == []


def test_a_style_needs_only_its_own_word_and_a_concept_has_no_features() -> None:
    said = [*pictures(20, "zbk, 1girl"), picture("x.png", "watercolor style, 1boy")]
    (finding,) = RULE.check(evidence(said, SubjectKind.STYLE))
    assert finding.images == ("x.png",)
    assert list(RULE.check(evidence([*TAGGED, OTHER], SubjectKind.CONCEPT))) == []


def test_the_subjects_of_a_style_may_vary() -> None:
    said = [*pictures(9, "inky style, smile, short hair"), *pictures(3, "inky style, smile, bob cut", prefix="q")]
    assert list(RULE.check(evidence(said, SubjectKind.STYLE))) == []
    said += [picture("x.png", "flat style, smile, bob cut")]
    (finding,) = RULE.check(evidence(said, SubjectKind.STYLE))
    assert finding.images == ("x.png",)


def test_members_of_a_bundle_are_compared_with_their_own() -> None:
    bundle = {name: MemberTable(trigger=f"{name}x", folders=(name,)) for name in ("anna", "ben")}
    said = [
        *pictures(20, "annax, blue hair, long hair", prefix="a", member="anna"),
        *pictures(20, "benx, red hair, short hair", prefix="b", member="ben"),
    ]
    assert list(RULE.check(evidence(said, bundle=bundle))) == []
    mixed = picture("mixed.png", "annax, red hair, short hair", member="anna")
    (finding,) = RULE.check(evidence([*said, mixed], bundle=bundle))
    assert finding.message.startswith("anna: 1 image shows another subject")


def test_the_user_may_keep_it() -> None:
    (finding,) = RULE.check(evidence([*TAGGED, OTHER], kept=frozenset({"other.png"})))
    assert finding.fix is None
