"""What is borrowed from the base: rows of it without any adapter, in one pass with the adapter's own."""

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
from lorasmith.generation.batching import Stepper
from lorasmith.generation.pictures import Picture
from lorasmith.generation.spec import PictureSpec
from tests.adapters.drawing import trained_adapter

SMALL: dict[str, Any] = {"steps": 2, "width": 64, "height": 64, "sampler": "Euler", "seed": 3, "cfg": 3.0}


@pytest.fixture
def shelf(tmp_path: Path, tiny_base: Base) -> AdapterCache:
    adapter = replace(trained_adapter(tiny_base, rank=4, alpha=4.0, seed=0), name="a")
    save_adapter(tmp_path / "a.safetensors", adapter, torch.float32)
    return AdapterCache([tmp_path])


def draw(base: Base, shelf: AdapterCache, prompt: str) -> Picture:
    stepper = Stepper(base, shelf)
    stepper.add(PictureSpec(prompt=prompt, **SMALL), "picture")
    while True:
        for _, picture in stepper.step().finished:
            return picture


def pixels(picture: Picture) -> torch.Tensor:
    return torch.frombuffer(bytearray(picture.image.tobytes()), dtype=torch.uint8).int()


def test_without_an_adapter_it_is_the_same_parts_joined_by_and(tiny_base: Base, shelf: AdapterCache) -> None:
    borrowed = draw(tiny_base, shelf, "red, <base:hat:0.5>")
    joined = draw(tiny_base, shelf, "red, hat AND red, hat :0.5 AND red :-0.5")
    assert torch.equal(pixels(borrowed), pixels(joined))
    assert not torch.equal(pixels(borrowed), pixels(draw(tiny_base, shelf, "red, hat")))


def test_the_adapter_acts_on_its_own_rows_alone(
    tiny_base: Base, shelf: AdapterCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[list[float]]] = []
    really = AdapterSet.acting

    def acting(self: AdapterSet, rows: Sequence[Mapping[Any, float]]) -> Any:
        seen.append([list(row.values()) for row in rows])
        return really(self, rows)

    monkeypatch.setattr(AdapterSet, "acting", acting)
    with_adapter = draw(tiny_base, shelf, "red, <base:hat> <lora:a:0.7>")
    assert seen == [[[0.7], [], [], [0.7]]] * 2
    everywhere = draw(tiny_base, shelf, "red, hat AND red, hat AND red :-1 <lora:a:0.7>")
    assert not torch.equal(pixels(with_adapter), pixels(everywhere))
