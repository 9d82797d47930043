"""Continuous batching: pictures join and leave at any step and are what they are alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.errors import PromptError, Stopped
from lorasmith.events import finish
from lorasmith.generation import adapter_sets
from lorasmith.generation.adapter_sets import AdapterSet, Member
from lorasmith.generation.batching import Stepper
from lorasmith.generation.pictures import Picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import Hires, PictureSpec
from tests.adapters.drawing import trained_adapter


@pytest.fixture(scope="module")
def tiny_base(tiny_base_folder: Path) -> Base:
    """One for all tests here: drawing leaves no trace in it."""
    return load_base(tiny_base_folder)


@pytest.fixture
def shelf(tmp_path: Path, tiny_base: Base) -> AdapterCache:
    for seed, algorithm in enumerate(("lora", "loha")):
        adapter = trained_adapter(tiny_base, algorithm=algorithm, rank=2, seed=seed)
        save_adapter(tmp_path / f"{algorithm}.safetensors", adapter, torch.float32)
    return AdapterCache([tmp_path])


def distance(a: Picture, b: Picture) -> int:
    return int(np.abs(np.asarray(a.image, int) - np.asarray(b.image, int)).max())


def test_pictures_join_and_leave_at_any_step(tiny_base: Base, shelf: AdapterCache) -> None:
    specs = {
        "plain": PictureSpec("red", seed=1, steps=4),
        "adapted": PictureSpec("red <lora:lora:0.9>", seed=2, steps=3, sampler="Euler a"),
        "stacked": PictureSpec("hat <lora:loha:-0.8> <lora:lora:0.4>", seed=3, steps=5, sampler="Heun", cfg=1.0),
        "larger": PictureSpec("blue", seed=4, steps=2, hires=Hires(1.25, denoising=0.5)),
        "wide": PictureSpec("blue BREAK red", seed=5, steps=2, width=72),
        "left": PictureSpec("red", seed=6, steps=9),
    }
    stepper = Stepper(tiny_base, shelf, batch_size=4, previews=2)
    waiting = list(specs)
    found: dict[object, Picture] = {}
    previewed, sizes = set(), []
    for turn in range(60):
        if waiting:
            name = waiting.pop(0)
            stepper.add(specs[name], name)
        if turn == 7:
            assert "left" in stepper.tickets
            stepper.remove("left")
        step = stepper.step()
        sizes.append(len(step.moved))
        found.update(step.finished)
        previewed |= {ticket for ticket, _ in step.previews}
    assert len(stepper) == 0
    assert max(sizes) >= 3
    assert set(found) == set(specs) - {"left"}
    assert {"plain", "stacked"} <= previewed
    for ticket, picture in found.items():
        (alone,) = finish(Pipeline(tiny_base, shelf).draw([specs[str(ticket)]]))
        assert distance(alone, picture) <= 1
        assert picture.drawing is None
    assert distance(found["plain"], found["adapted"]) > 5


def test_nobody_waits_for_ever(tiny_base: Base) -> None:
    stepper = Stepper(tiny_base, batch_size=1)
    for index in range(3):
        stepper.add(PictureSpec("red", steps=3, width=64 + 8 * index), index)
    assert [stepper.step().moved for _ in range(6)] == [(0,), (1,), (2,)] * 2
    assert stepper.progress(0) == (2, 3)


def test_a_wrong_request_disturbs_nobody(tiny_base: Base, shelf: AdapterCache) -> None:
    stepper = Stepper(tiny_base, shelf)
    stepper.add(PictureSpec("red", steps=1), "a")
    with pytest.raises(PromptError, match="unknown"):
        stepper.add(PictureSpec("red <lora:nobody>"), "b")
    with pytest.raises(ValueError, match="in flight"):
        stepper.add(PictureSpec("red"), "a")
    ((ticket, _),) = stepper.step().finished
    assert ticket == "a"
    assert stepper.step().finished == ()


def test_stopping_within_a_pass_leaves_everything_as_it_was(tiny_base: Base, shelf: AdapterCache) -> None:
    stepper = Stepper(tiny_base, shelf)
    spec = PictureSpec("red <lora:lora>", seed=3, steps=2, tiling=True)
    stepper.add(spec, "a")
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 3

    before = {name: len(module._forward_pre_hooks) for name, module in tiny_base.denoiser.named_modules()}
    with pytest.raises(Stopped):
        stepper.step(stop)
    assert len(asked) == 3
    assert not any("forward" in vars(tiny_base.module(name)) for name in tiny_base.targets)
    assert before == {name: len(module._forward_pre_hooks) for name, module in tiny_base.denoiser.named_modules()}
    assert {m.padding_mode for m in tiny_base.denoiser.modules() if isinstance(m, torch.nn.Conv2d)} == {"zeros"}
    stepper.step()
    ((_, picture),) = stepper.step().finished
    (alone,) = finish(Pipeline(tiny_base, shelf).draw([spec]))
    assert distance(alone, picture) <= 1


def test_pictures_that_join_between_two_steps_share_one_new_bank(
    tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(4):
        adapter = trained_adapter(tiny_base, rank=2, seed=seed, text_encoder=seed == 3)
        save_adapter(tmp_path / f"a{seed}.safetensors", adapter, torch.float32)
    made: list[int] = []

    class Counted(AdapterSet):
        def __init__(self, base: Base, adapters: Mapping[Member, Adapter]) -> None:
            made.append(len(adapters))
            super().__init__(base, adapters)

    monkeypatch.setattr(adapter_sets, "AdapterSet", Counted)
    stepper = Stepper(tiny_base, AdapterCache([tmp_path]))
    for seed in range(3):
        stepper.add(PictureSpec(f"red <lora:a{seed}:0.5>", seed=seed, steps=2), seed)
    assert made == []
    stepper.step()
    assert made == [3]
    stepper.add(PictureSpec("red <lora:a3:0.5>", steps=2), 3)
    assert made == [3, 4], "its text is encoded with it"
    stepper.step()
    assert made == [3, 4]
