"""Plain prompts of a small world."""

from __future__ import annotations

from typing import Any

from lorasmith.tags.words import split_tags
from lorasmith.training.plain import draw_plain_prompts

WORLD: dict[str, Any] = {
    "palettes": {"background": {"red": "f00", "blue": "00f"}, "hair colour": {"black": "000", "pink": "f0f"}},
    "hides": {"bald": ["hair colour"]},
    "styles": {
        "ink": {
            "tag": "ink style",
            "parts": {
                "hair": {"values": {"bald": [], "long hair": []}},
                "accessory": {"share": 0.3, "values": {"glasses": []}},
            },
            "colours": ["hair colour"],
        },
        "new": {"tag": "new style", "held_out": True, "parts": {}, "colours": []},
    },
}


def test_prompts_are_valid_and_varied() -> None:
    prompts = [split_tags(prompt) for prompt in draw_plain_prompts(WORLD, 200, seed=1)]
    assert len(prompts) == 200
    assert {prompt[0] for prompt in prompts} == {"ink style"}
    assert {prompt[-1] for prompt in prompts} == {"red background", "blue background"}
    hair = {"black hair", "pink hair"}
    assert all(("bald" in prompt) != bool(hair & set(prompt)) for prompt in prompts)
    assert 30 < sum("glasses" in prompt for prompt in prompts) < 110


def test_a_function_of_the_seed() -> None:
    assert draw_plain_prompts(WORLD, 20, 1) == draw_plain_prompts(WORLD, 20, 1) != draw_plain_prompts(WORLD, 20, 2)
