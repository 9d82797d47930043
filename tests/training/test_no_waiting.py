"""From a step's first row to its gradients the host waits for no device: it reads nothing back, and what it sends goes
ahead of it. Tried with a base without memory (torch's meta device), from which nothing can be read."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from lorasmith.adapters.adapter import Adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.diffusion.transfer import send
from lorasmith.events import finish
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.inputs.reading import read_inputs
from lorasmith.training.preparation import cache_texts, make_rows
from lorasmith.training.rows.batches import epoch_batches
from lorasmith.training.steps.process_group import ProcessGroup
from lorasmith.training.steps.start import start_adapter
from lorasmith.training.steps.trainer_group import StepBatches, TrainerGroup
from lorasmith.training.unpacking import unpack
from tests.families.anima_models import build_anima
from tests.families.zimage_models import build_zimage
from tests.projects import build_project

aten = torch.ops.aten
RECIPE = """
resolution = 64
bucket.step = 32
batch_size = 2
rank = 2
clip_skip = 1
epochs = 2
layers = ["attention", "mlp"]
lr.unet = 1e-3
"""
READS = (aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default, aten.is_nonzero.default)
CACHED = "lr.text_encoder = 0\ncache_text_encoder_outputs = true\ncaption.shuffle = false"


def place() -> str:
    """The innermost line of ours or of a model's."""
    frames = [each for each in traceback.extract_stack() if "/src/lorasmith/" in each.filename]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what the host would wait for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        given = kwargs or {}
        there = [each for each in args if isinstance(each, Tensor) and each.device.type == "meta"]
        if there and func in READS:
            self.found.append(f"{func} at {place()}")
        if there and func is aten.repeat_interleave.Tensor and given.get("output_size") is None:
            self.found.append(f"{func} at {place()}")
        if func is aten._to_copy.default and _crosses(args[0], given.get("device")) and not given.get("non_blocking"):
            self.found.append(f"a copy at {place()}")
        if func is aten.copy_.default and _crosses(args[1], args[0].device) and not (len(args) > 2 and args[2]):
            self.found.append(f"a copy at {place()}")
        return func(*args, **given)


def _crosses(tensor: Tensor, device: Any) -> bool:
    return device is not None and torch.device(device).type != tensor.device.type


class Made(TorchFunctionMode):
    """Notes tensors that are made of numbers on the device: that is a copy, too."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        given = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and _is_meta(given.get("device")):
            self.found.append(f"a tensor of numbers at {place()}")
        return func(*args, **given)


def _is_meta(device: Any) -> bool:
    return device is not None and torch.device(device).type == "meta"


class Reached(Exception):
    """The gradients are there."""


class Stops(ProcessGroup):
    """One process, which ends where its gradients would be added to others'."""

    def sum(self, tensors: Sequence[Tensor]) -> None:
        del tensors
        raise Reached


def on_meta(adapter: Adapter) -> Adapter:
    layers = {
        name: factors.with_trained({field: tensor.to("meta") for field, tensor in factors.trained().items()})
        for name, factors in adapter.layers.items()
    }
    return replace(adapter, layers=layers)


def waits_of_a_step(root: Path, base: Base, recipe: str, count: int = 1) -> list[str]:
    """What a step of so many adapters, up to its gradients, would wait for."""
    project = build_project(root, RECIPE + recipe, base=str(base.folder))
    recipes = [read_recipe(project, {"seed": str(number)}) for number in range(count)]
    settings = [unpack(each) for each in recipes]
    inputs = finish(read_inputs(project, recipes))
    fixed = settings[0].texts.frozen
    conditioner = Conditioner(base, settings[0].text, alone=fixed)
    rows = [
        finish(make_rows(project, each, its, base, conditioner)) for each, its in zip(settings, inputs, strict=True)
    ]
    if settings[0].texts.cached:
        finish(cache_texts(conditioner, inputs, rows))
    base.to("meta")
    adapters = [on_meta(start_adapter(base, each, project.root)) for each in settings]
    group = TrainerGroup(base, adapters, settings, rows, [4] * count, conditioner, processes=Stops(0, 1))
    batches = epoch_batches(inputs[0].trained, 2, 0, 0)
    shown = {number: StepBatches(batches[:1], 0) for number in range(count)}
    with pytest.raises(Reached):  # once, tables of positions go to the device
        group.advance(shown)
    waits = Waits()
    with pytest.raises(Reached), waits, Made(waits.found):
        group.advance(shown)
    return waits.found


@pytest.mark.parametrize(
    ("family", "recipe"),
    [
        ("sd1", ""),
        ("sd1", 'checkpointing = true\npreserve.kind = "differential"\ndropout = { rank = 0.1, network = 0.1 }'),
        ("sd1", 'conv.rank = 2\nloss = { kind = "huber", min_snr_gamma = 5 }\nstrength = { min = 0.5, max = 1.5 }'),
        ("sd1", 'algorithm = "loha"\n' + CACHED),
        ("sd2", 'algorithm = "lokr"\ndora = true'),
        ("sdxl", CACHED),
    ],
)
def test_nothing_is_waited_for(family: str, recipe: str, tmp_path: Path, family_folders: dict[str, Path]) -> None:
    assert waits_of_a_step(tmp_path / "p", load_base(family_folders[family]), recipe) == []


@pytest.mark.parametrize("build", [build_anima, build_zimage])
def test_transformers_wait_for_nothing_either(build: Callable[[Path], Path], tmp_path: Path) -> None:
    base = load_base(build(tmp_path / "base"))
    assert waits_of_a_step(tmp_path / "p", base, "checkpointing = true\n" + CACHED) == []


def test_a_sweep_waits_for_nothing(tmp_path: Path, tiny_base: Base) -> None:
    assert waits_of_a_step(tmp_path / "p", tiny_base, "", count=3) == []


def test_waiting_is_seen() -> None:
    there = torch.zeros(3, device="meta")
    waits = Waits()
    with waits, Made(waits.found):
        torch.ones(3).to("meta")
        torch.tensor([1.0], device="meta")
        there.copy_(torch.ones(3))
        with pytest.raises((RuntimeError, NotImplementedError)):
            bool(there.sum())
        with pytest.raises((RuntimeError, NotImplementedError)):
            there.nonzero()
        send(torch.ones(3), there.device)
    assert len(waits.found) == 5


def test_what_is_sent_is_the_same(tiny_base: Base) -> None:
    tensor = torch.randn(4)
    assert send(tensor, tiny_base.device) is tensor
    assert torch.equal(send(tensor, tiny_base.device, torch.bfloat16), tensor.bfloat16())
