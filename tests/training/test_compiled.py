"""`compile = true`: the denoiser's passes with the adapter in them, through torch.compile. What is traced is checked
here to the bit; the kernels that a backend makes of it round otherwise."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from lorasmith.bases import compiled
from lorasmith.bases.base import Base, load_base
from lorasmith.errors import RecipeError
from lorasmith.events import Event, Note, finish
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.loop import train
from lorasmith.training.steps import trainer_group
from lorasmith.training.steps.trainer_group import TrainerGroup
from tests.projects import build_project
from tests.training.test_loop import same_tensors

RECIPE = """
resolution = 64
bucket.enabled = false
batch_size = 2
rank = 2
alpha = 1
epochs = 3
layers = ["attention"]
lr = { unet = 1e-3, text_encoder = 0 }
save_every = "100 steps"
"""
SIZES = ((64, 64), (64, 64))


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced, then run by torch's own operators: nothing is joined, so that all is the same to the bit."""
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    torch.compiler.reset()
    counters.clear()


@pytest.mark.usefixtures("traced")
def test_a_compiled_run_is_the_same_and_compiles_once(tmp_path: Path, tiny_base: Base, tiny_base_folder: Path) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder), sizes=SIZES)
    plain = finish(train(project, read_recipe(project), base=tiny_base))
    made = finish(train(project, read_recipe(project, {"compile": "true"}), base=tiny_base))
    assert same_tensors(plain.adapter, made.adapter)
    assert made.loss == plain.loss
    assert counters["stats"]["unique_graphs"] == 1, "one form of a pass, whatever step it is"
    assert not counters["graph_break"]
    assert tiny_base.denoiser._compiled_call_impl is None


@pytest.mark.usefixtures("traced")
def test_what_compiles_wrongly_is_not_used(
    tmp_path: Path, tiny_base: Base, tiny_base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(compiled.CompiledDenoiser):
        """Kernels that are not what was asked for."""

        def __init__(self, denoiser: Any) -> None:
            self._denoiser = denoiser
            self._call = lambda *args, **kwargs: tuple(0.9 * each for each in denoiser._call_impl(*args, **kwargs))

    monkeypatch.setattr(trainer_group, "CompiledDenoiser", Wrong)
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder), sizes=SIZES)
    plain = finish(train(project, read_recipe(project), base=tiny_base))
    told: list[Event] = []
    made = finish(train(project, read_recipe(project, {"compile": "true"}), base=tiny_base), told.append)
    assert [each.message for each in told if isinstance(each, Note) and "other gradients" in each.message]
    assert same_tensors(plain.adapter, made.adapter)


def test_what_cannot_be_compiled_is_refused(tmp_path: Path, tiny_base_folder: Path) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder), sizes=SIZES)
    with pytest.raises(RecipeError, match="does not go with checkpointing"):
        read_recipe(project, {"compile": "true", "checkpointing": "true"})


def test_rows_that_are_read_ahead_are_the_same(
    tmp_path: Path, tiny_base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where the next step's rows are read while it works; over the ends of epochs, with accumulation."""
    recipe = RECIPE + "accumulate = 2\nflip = true\n"
    sizes = ((64, 64),) * 5
    project = build_project(tmp_path / "p", recipe, base=str(tiny_base_folder), sizes=sizes)
    plain = finish(train(project, read_recipe(project), base=load_base(tiny_base_folder)))
    monkeypatch.setattr(TrainerGroup, "reads_ahead", True)
    base = load_base(tiny_base_folder)
    ahead = finish(train(project, read_recipe(project), base=base))
    assert same_tensors(plain.adapter, ahead.adapter)


@pytest.mark.usefixtures("traced")
def test_compiling_says_nothing_of_gradients_that_nobody_asked_for(tiny_base: Base) -> None:
    """torch tells it once a process, unless it is asked to tell it always."""
    made = compiled.CompiledDenoiser(tiny_base.denoiser)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_() * 1.0
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with torch.no_grad():
            context = tiny_base.encode(["hat"])
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            with made.used():
                tiny_base.denoise(x, torch.tensor([0.5]), context)
            with made.used(), pytest.raises(UserWarning, match="another"):
                warnings.warn("another", UserWarning, stacklevel=1)
    finally:
        torch.set_warn_always(before)
