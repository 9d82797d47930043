"""Captions as lists of tags."""

from __future__ import annotations

import pytest

from lorasmith.tags.words import join_tags, split_tags, tag_key


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
