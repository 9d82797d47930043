"""Captions as lists of tags."""

from __future__ import annotations

import pytest

from lorasmith.tags.words import edit_distance, is_sentence, join_tags, split_tags, tag_key, without_trigger


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("a, b,c", ("a", "b", "c")),
        (" ,, blonde   hair , ", ("blonde hair",)),
        ("one, two\nthree\r\nfour", ("one", "two", "three", "four")),
        ("", ()),
        ("a photo of a man, sitting", ("a photo of a man", "sitting")),
    ],
)
def test_splitting(text: str, tags: tuple[str, ...]) -> None:
    assert split_tags(text) == tags


def test_joining_is_the_way_back() -> None:
    assert join_tags(split_tags("zbk, red hat, smile")) == "zbk, red hat, smile"


def test_spellings_of_one_tag_are_equal() -> None:
    keys = {tag_key(tag) for tag in ("Blonde_Hair", "blonde hair", " BLONDE  hair", "ｂｌｏｎｄｅ hair")}
    assert keys == {"blonde hair"}
    assert tag_key(r"chair \(object\)") == tag_key("chair_(object)")
    assert tag_key("blond hair") != tag_key("blonde hair")


@pytest.mark.parametrize(
    ("caption", "trigger", "rest"),
    [
        ("zbk, red hair, smile", "zbk", "red hair, smile"),
        ("ZBK, zbk_two, smile", "zbk", "zbk_two, smile"),
        ("photo of zbk, smile", "zbk", "photo of, smile"),
        ("a drawing of Zbk with red hair", "zbk", "a drawing of with red hair"),
        ("zbk, anime screencap, smile", "zbk, anime screencap", "smile"),
        ("zbkx, smile", "zbk", "zbkx, smile"),
        ("zbk", "zbk", ""),
        ("a, b", "", "a, b"),
    ],
)
def test_without_trigger(caption: str, trigger: str, rest: str) -> None:
    assert without_trigger(caption, trigger) == rest


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("zbk", "zbk", 0),
        ("zbk", "zbl", 1),
        ("zbk", "bzk", 1),
        ("zbk", "zb", 1),
        ("zbk", "zbkk", 1),
        ("kitten", "sitting", 3),
        ("", "ab", 2),
        ("abcdef", "badcfe", 3),
    ],
)
def test_edit_distance(one: str, other: str, distance: int) -> None:
    assert edit_distance(one, other, 5) == distance
    assert edit_distance(other, one, 5) == distance
    if distance:
        assert edit_distance(one, other, distance - 1) == distance, "no more is told than was asked for"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("full body photograph of a woman with blonde hair", True),
        ("zbk, a man is sitting on a chair", True),
        ("zbk, holding a red book", False),
        ("1girl, playing with own hair, smile", False),
        ("a man on a chair", True),
        ("", False),
    ],
)
def test_sentences(text: str, sentence: bool) -> None:
    assert is_sentence(text) is sentence
