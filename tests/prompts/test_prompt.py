"""The whole language: the JSON shape, and that no text breaks it or takes more than linear time."""

from __future__ import annotations

import random

import pytest

from lorasmith.errors import PromptError
from lorasmith.prompts import parse
from lorasmith.prompts.compatibility import read_compat
from tests.prompts.effort import count_lines


def test_the_json_shape() -> None:
    document = parse("(a:1.2) [b:c:5] <lora:x:0.8> AND d :2", steps=10).as_json()
    assert document == {
        "networks": [{"name": "x", "te": 0.8, "unet": 0.8, "dyn": None}],
        "text": "(a:1.2) [b:c:5]  AND d :2",
        "subprompts": [["(a:1.2) [b:c:5]", 1.0], [" d", 2.0]],
        "schedule": [[5, "(a:1.2) b"], [10, "(a:1.2) c"]],
        "attention": [["a", 1.2], [" b", 1.0]],
    }


def test_brackets_do_not_reach_adapters() -> None:
    prompt = parse("[<lora:x:1>::5]", steps=10)
    assert prompt.networks[0].unet == 1.0
    assert prompt.schedule == ((5, ""), (10, ""))


def test_any_text_gives_a_prompt_or_our_error() -> None:
    draw = random.Random(3)
    pieces = [
        *"()[]<>|:\\=.-+eé\n\x00 ",
        "AND",
        "BREAK",
        "lora",
        "te=",
        "1.5",
        "3",
        "[a:b:",
        "<lora:x:",
        "\ud800",
        "٣",
    ]
    outcomes = set()
    for _ in range(3000):
        text = "".join(draw.choices(pieces, k=draw.randint(0, 25)))
        try:
            prompt = parse(text, steps=7, compat=draw.choice([None, "a1111"]))
            assert all(part.schedule[-1][0] == 7 for part in prompt.subprompts)
            assert prompt.attention
            outcomes.add("prompt")
        except PromptError:
            outcomes.add("error")
    assert outcomes == {"prompt", "error"}


@pytest.mark.parametrize(
    "piece",
    ["(", "[", "[a:", "<lora:", "(a:1) ", " ", "[a|", ":", "\\", "((a)b", "BREAK ", "AND ", "([a:b:1])", "[a|b]"],
)
def test_work_is_linear_and_depth_has_no_limit(piece: str) -> None:
    def work(length: int) -> int:
        return count_lines(lambda: parse(piece * (length // len(piece)), steps=2))

    assert work(16_000) < 8 * 1.5 * work(2_000) + 500
    for length in (2_000, 16_000, 200_000):
        assert parse(piece * (length // len(piece)), steps=2).attention


def test_closed_deep_nests() -> None:
    depth = 50_000
    assert parse("[" * depth + "a" + ":1]" * depth, steps=3).schedule == ((1, ""), (3, "a"))


def test_dialects() -> None:
    assert read_compat(None) is None
    assert read_compat("a1111") == "a1111"
    with pytest.raises(PromptError, match="comfy"):
        read_compat("comfy")
