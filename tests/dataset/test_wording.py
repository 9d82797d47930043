"""Captions of made pictures."""

from __future__ import annotations

import pytest

from lorasmith.dataset.wording import add_tags, swap_sides, word_alteration, word_collage, word_prompt
from lorasmith.images.alteration import Operation, Parameters


@pytest.mark.parametrize(
    ("operation", "parameters", "caption"),
    [
        ("grayscale", {}, "zbk, Smile, looking left, monochrome, greyscale"),
        ("flip", {}, "zbk, Smile, looking right"),
        ("overlay", {"colour": "blue"}, "zbk, Smile, looking left, blue theme"),
        ("rotate", {"degrees": 9}, "zbk, Smile, looking left, dutch angle"),
        ("quality", {}, "zbk, Smile, looking left, low quality, blurry, worst quality"),
        ("crop", {"box": [0, 0, 1, 1]}, "zbk, Smile, looking left"),
        ("aspect", {}, "zbk, Smile, looking left"),
        ("enhance", {}, "zbk, Smile, looking left"),
    ],
)
def test_what_an_operation_says(operation: Operation, parameters: Parameters, caption: str) -> None:
    assert word_alteration("zbk, Smile, looking left", operation, parameters) == caption


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("left_hand, right arm", "right_hand, left arm"),
        ("Left-handed, RIGHT side", "Right-handed, LEFT side"),
        ("leftmost girl looks rightwards", "rightmost girl looks leftwards"),
        ("copyright, cleft chin, bright, lefty", "copyright, cleft chin, bright, lefty"),
    ],
)
def test_sides_are_swapped_in_words_of_their_own(text: str, swapped: str) -> None:
    assert swap_sides(text) == swapped
    assert swap_sides(swapped) == text


def test_known_tags_are_not_added_again() -> None:
    assert add_tags("a, Dutch_Angle", ["dutch angle", "b", "B"]) == "a, Dutch_Angle, b"
    assert add_tags("", ["a"]) == "a"
    assert add_tags("a sentence,", ["b"]) == "a sentence, b"


@pytest.mark.parametrize(
    ("captions", "together"),
    [
        (["anna, 1girl, solo, smile", "ben, 1boy, solo, smile"], "anna, 1girl, smile, ben, 1boy, collage"),
        (["1girl, hat", "1girl"], "2girls, hat, collage"),
        (["4girls", "3girls"], "6+girls, collage"),
        (["a", None], "a, collage"),
        ([None, ""], None),
    ],
)
def test_a_collage_says_what_all_say_and_counts_people(captions: list[str | None], together: str | None) -> None:
    assert word_collage(captions) == together


@pytest.mark.parametrize(
    ("prompt", "caption"),
    [
        ("zbk, (red hat:1.2), [rain] <lora:zbk:0.8>", "zbk, red hat, rain"),
        ("a ((b)), [x:y:0.5], c BREAK d AND e", "a b, y, c, d, e"),
        (r"chair \(object\), a,, a", "chair (object), a"),
        ("one\ntwo", "one, two"),
        ("<lora:x:1>", ""),
    ],
)
def test_a_prompt_becomes_a_caption(prompt: str, caption: str) -> None:
    assert word_prompt(prompt) == caption
