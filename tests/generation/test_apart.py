"""An adapter called apart acts on its own rows alone, in one pass with the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.generation.adapter_sets import AdapterSet
from tests.adapters.drawing import trained_adapter
from tests.generation.test_borrowing import draw, pixels


@pytest.fixture
def shelf(tmp_path: Path, tiny_base: Base) -> AdapterCache:
    for seed, name in enumerate("ab"):
        adapter = replace(trained_adapter(tiny_base, rank=4, alpha=4.0, seed=seed), name=name)
        save_adapter(tmp_path / f"{name}.safetensors", adapter, torch.float32)
    return AdapterCache([tmp_path])


def test_each_row_has_its_adapter(tiny_base: Base, shelf: AdapterCache, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[dict[str, float]]] = []
    really = AdapterSet.acting

    def acting(self: AdapterSet, rows: Sequence[Mapping[Any, float]]) -> Any:
        seen.append([{member.name: strength for member, strength in row.items()} for row in rows])
        return really(self, rows)

    monkeypatch.setattr(AdapterSet, "acting", acting)
    apart = draw(tiny_base, shelf, "red <lora:a:0.7> <lora:b:0.5:apart=blue>")
    assert seen == [[{"a": 0.7}, {"b": 0.5}, {}, {"a": 0.7}]] * 2  # the last: what is guided away from
    together = draw(tiny_base, shelf, "blue, red <lora:a:0.7> <lora:b:0.5>")
    assert not torch.equal(pixels(apart), pixels(together))


def test_at_strength_0_it_is_the_prompt_with_its_words(tiny_base: Base, shelf: AdapterCache) -> None:
    """red + (blue, red) - red."""
    nothing = draw(tiny_base, shelf, "red <lora:b:0:0:apart=blue>")
    plain = draw(tiny_base, shelf, "blue, red")
    assert (pixels(nothing) - pixels(plain)).abs().max() <= 1
    assert (pixels(nothing) - pixels(draw(tiny_base, shelf, "red"))).abs().max() > 1
