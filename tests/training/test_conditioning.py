"""What captions become while an adapter learns, and what is remembered."""

from __future__ import annotations

import pytest
import torch

from lorasmith.bases.base import Base
from lorasmith.bases.text.options import PLAIN_TEXT, TextOptions
from lorasmith.recipe.recipe import Recipe
from lorasmith.training import conditioning
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.unpacking import unpack


def test_a_recipe_says_how_captions_are_read() -> None:
    assert unpack(Recipe(epochs=1)).text == PLAIN_TEXT
    values = {"epochs": 1, "clip_skip": 2, "caption": {"max_tokens": 225, "weighted": True}}
    assert unpack(Recipe.model_validate(values)).text == TextOptions("kohya", 225, "kohya", 2)


def test_a_context_is_remembered_from_the_second_asking_on(tiny_base: Base) -> None:
    """Shuffled captions hardly ever come again: what is asked for once must not fill the memory."""
    conditioner = Conditioner(tiny_base, PLAIN_TEXT)
    asked: list[int] = []

    def recall(*texts: str) -> torch.Tensor:
        before = len(asked)
        context = conditioner.recall(texts, lambda: asked.append(1)).hidden
        encoded.append(len(asked) > before)
        return context

    encoded: list[bool] = []
    first = recall("red hat", "blue hat")
    second = recall("red hat")
    third = recall("red hat")
    recall("blue hat", "red hat")
    recall("blue hat")
    assert encoded == [True, True, False, True, False]
    torch.testing.assert_close(second, first[:1], rtol=1e-5, atol=1e-6)
    assert torch.equal(third, second)


def test_what_is_remembered_of_tokens_is_bounded(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditioning, "TEXTS_KEPT", 3)
    conditioner = Conditioner(tiny_base, PLAIN_TEXT)
    with torch.no_grad():
        for number in range(10):
            conditioner.encode([f"text {number}"])
    assert len(conditioner._tokens) <= 3
