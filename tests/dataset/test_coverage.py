"""Coverage: what the images show, from tags, labels and sentences."""

from __future__ import annotations

import pytest

from lorasmith.dataset.coverage import PLANS, cover, divide
from lorasmith.dataset.evidence import Evidence, plain, read_words
from lorasmith.project import MemberTable, SubjectKind
from tests.dataset.evidences import evidence, picture, pictures


def shown(seen: Evidence) -> dict[str, tuple[str, ...]]:
    (subset,) = divide(seen)
    return {entry.facet.name: entry.images for entry in cover(seen.subject, subset)}


@pytest.mark.parametrize("kind", SubjectKind)
def test_every_kind_has_a_plan_whose_facets_are_told_apart(kind: SubjectKind) -> None:
    names = [facet.name for axis in PLANS[kind] for facet in axis.facets]
    assert names
    assert len(set(names)) == len(names)
    for axis in PLANS[kind]:
        assert sum(facet.rest for facet in axis.facets) <= 1
        for facet in axis.facets:
            assert facet.name in facet.words, "a label may be the facet's own name"
            assert facet.after in (*names, "")
            assert all(word == plain(word) for word in facet.words)


def test_tags_in_any_spelling_and_the_users_labels() -> None:
    said = [
        picture("tag.png", "From_Behind"),
        picture("label.png", "smile", facets=("from behind",)),
        picture("other.png", "from side"),
    ]
    assert shown(evidence(said))["from behind"] == ("tag.png", "label.png")


def test_a_picture_is_seen_from_the_front_unless_it_says_otherwise() -> None:
    said = [picture("a.png", "smile"), picture("b.png", "from side"), picture("c.png", "looking at viewer, from above")]
    assert shown(evidence([*said, picture("mute.png")]))["front"] == ("a.png", "c.png")


def test_a_sentence_is_read_in_runs_of_words() -> None:
    said = [picture("a.png", "a full body photograph of a woman seen from behind at night.")]
    covered = shown(evidence(said))
    assert covered["full body"] == covered["from behind"] == ("a.png",)
    assert read_words("full_body") == ("full body",)
    assert "back" not in read_words("looking back at me"), "four words are a tag"


def test_nothing_is_told_where_most_images_are_silent() -> None:
    assert shown(evidence([*pictures(4, "portrait"), *pictures(5, prefix="x")])) == {}
    assert shown(evidence([*pictures(5, "portrait"), *pictures(5, prefix="x")])) != {}


def test_the_trigger_and_a_folders_words_say_nothing() -> None:
    said = [picture("a.png", "portrait, red chair", folder="5_red_chair"), picture("b.png", "red chair")]
    assert evidence(said, trigger="Portrait").words == {"a.png": frozenset(), "b.png": frozenset({"red chair"})}


def test_a_share_of_the_images_is_rounded_up() -> None:
    seen = evidence(pictures(41, "close-up"), SubjectKind.CONCEPT)
    (subset,) = divide(seen)
    wanted = {entry.facet.name: entry.wanted for entry in cover(seen.subject, subset)}
    assert wanted["close focus"] == 3


def test_members_of_a_bundle_are_parts_and_those_without_images_are_left_out() -> None:
    bundle = {name: MemberTable(trigger=name, folders=(name,)) for name in ("anna", "ben", "nobody")}
    said = [*pictures(2, "smile", prefix="a", member="anna"), *pictures(3, "x", prefix="b", member="ben")]
    assert [(subset.name, len(subset.items)) for subset in divide(evidence(said, bundle=bundle))] == [
        ("anna", 2),
        ("ben", 3),
    ]
