"""The subject is read from what captions leave out, what they name, and what nobody showed."""

from __future__ import annotations

import pytest

from lorasmith.errors import ExamError
from lorasmith.exam.subject import Subject, find_tag, read_subject
from tests.exam.toy import GROUPS, IDENTITY, TRIGGER, VALUES, WORLD

SEEN = [
    {**IDENTITY, "mouth": VALUES["mouth"][i % 2], "background": VALUES["background"][i % 3], "hat": None}
    for i in range(20)
]
CAPTIONS = [f"{TRIGGER}, 1person, {row['mouth']}, {row['background']}" for row in SEEN]


def _read(**changes: object) -> Subject:
    arguments: dict[str, object] = {
        "trigger": TRIGGER,
        "kind": "character",
        "captions": CAPTIONS,
        "seen": SEEN,
        "groups": GROUPS,
        "world": WORLD,
        **changes,
    }
    return read_subject(**arguments)  # type: ignore[arg-type]


def test_identity_is_what_captions_leave_out() -> None:
    subject = _read()
    assert subject.identity == IDENTITY
    assert subject.constant == ("1person",)
    assert set(subject.shown) == {"mouth", "background"}
    assert subject.style == "ink style"


def test_unseen_values_are_the_worlds_minus_the_shown() -> None:
    assert _read().unseen == {
        "mouth": ("open mouth",),
        "background": ("pink background",),
        "hat": ("cap", "crown"),
    }


def test_a_style_of_a_known_world_is_no_skin_and_no_hair() -> None:
    assert _read(kind="style").identity == {"style": IDENTITY["style"]}
    strange = [{**row, "style": None} for row in SEEN]
    assert _read(kind="style", seen=strange, wordless=True).identity == {}  # likeness alone judges it


def test_one_wrong_look_is_forgiven() -> None:
    wrong = [{**row, "hair": "red hair", "hat": "crown"} if i == 3 else row for i, row in enumerate(SEEN)]
    subject = _read(seen=wrong)
    assert subject.identity == IDENTITY
    assert subject.unseen["hat"] == ("cap", "crown")


def test_a_trait_in_fewer_than_nine_of_ten_images_is_no_identity() -> None:
    mixed = [{**row, "skin": "pale skin"} if i < 3 else row for i, row in enumerate(SEEN)]
    assert "skin" not in _read(seen=mixed).identity


def test_another_hair_is_no_new_thing_where_the_judge_sees_none() -> None:
    """Antennae hide the hair in most images, or the head is bald: T4 says whose hair is, and the judge need not."""
    hidden = [{**row, "hair": "red hair" if i < 3 else None} for i, row in enumerate(SEEN)]
    assert set(_read(seen=hidden).unseen) == {"mouth", "background", "hat"}
    named = [f"{caption}, {'red hair' if i % 2 else 'green hair'}" for i, caption in enumerate(CAPTIONS)]
    assert _read(captions=named).unseen["hair"] == ("blue hair",)  # captions name it, so it is free


def test_given_identity_wins_and_typos_are_named() -> None:
    assert _read(identity=["Jade_Hair"]).identity == {"hair": "jade hair"}
    with pytest.raises(ExamError, match=r"does not know 'jad hair'. Did you mean \"jade hair\"\?"):
        _read(identity=["jad hair"])
    with pytest.raises(ExamError, match="cannot both be seen"):
        _read(identity=["jade hair", "red hair"])


def test_given_questions_replace_the_worlds() -> None:
    assert _read(ask=["crown"]).unseen == {"hat": ("crown",)}


def test_nothing_in_common_is_an_error_with_a_way_out() -> None:
    noise = [{name: tags[i % len(tags)] for name, tags in VALUES.items()} for i in range(20)]
    with pytest.raises(ExamError, match=r"\[exam\] identity"):
        _read(seen=noise)


def test_tags_are_found_in_sentences() -> None:
    group = GROUPS["background"]
    assert find_tag(group, ("a drawing of a person on a pink background",)) == "pink background"
    assert find_tag(group, ("pink",)) is None
