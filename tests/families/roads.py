"""What the tests of a family from outside do again and again: projects, runs, commands, pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import load_adapter
from lorasmith.bases.base import Base
from lorasmith.cli.main import run as run_command
from lorasmith.events import Done, Event, StepDone, finish
from lorasmith.generation.pictures import Picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.project import Project, open_project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.recipe.sweep import read_sweep
from lorasmith.training.loop import train, train_sweep

BLUE, SIZES = (25, 25, 230), ((96, 96), (96, 96), (96, 96), (128, 64))
SHORT = {"target_steps": "3", "save_every": '"100 steps"', "batch_size": "2"}
"""A run of three steps."""


@dataclass(frozen=True)
class Run:
    """A run of a project that came to its end."""

    project: Project
    done: Done
    losses: tuple[float, ...]


def build_project(root: Path, base: Path, more: str = "") -> Project:
    """Pictures that are blue, which no caption says: the trigger shall mean it. Their lower right counts less."""
    (root / "images").mkdir(parents=True)
    for number, size in enumerate(SIZES):
        picture = Image.new("RGB", size, BLUE)
        picture.paste((60, 60, 200), (4 * number, 4, 4 * number + 12, 20))
        alpha = Image.new("L", size, 255)
        alpha.paste(255 - 60 * number, (48, 32, *size))
        picture.putalpha(alpha)
        picture.save(root / "images" / f"{number}.png")
        (root / "images" / f"{number}.txt").write_text("zbk, picture, smile" if number else "zbk, picture")
    (root / "lora.toml").write_text(
        f'[lora]\nname = "zbk"\nsubject = "concept"\ntrigger = "zbk"\nbase = "{base}"\n'
        f'[provenance]\nsource = "drawn for tests"\n[exam]\njudge = "judge"\nidentity = ["mostly_blue"]\n'
        f'pictures = 8\nsteps = 4\ngrid_steps = 2\nprecision = "fp32"\n{more}'
    )
    return open_project(root)


def run(project: Project, base: Base, settings: Mapping[str, str], **how: Any) -> tuple[Done, list[Event]]:
    """Train with these settings over the preset."""
    events: list[Event] = []
    return finish(train(project, read_recipe(project, settings), base=base, **how), events.append), events


def command(*words: object) -> None:
    """A command line as a user types it."""
    assert run_command([str(word) for word in words]) == 0, words


def told(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """The JSON document that a command prints."""
    capsys.readouterr()
    command(*words, "--json")
    return json.loads(capsys.readouterr().out)


def draw(pipeline: Pipeline, *specs: PictureSpec) -> list[Picture]:
    return finish(pipeline.draw(specs))


def blueness(picture: Picture) -> float:
    """The mean of the blue channel, of 255, less that of the others."""
    red, green, blue = np.asarray(picture.image, float).mean((0, 1))
    return float(blue - (red + green) / 2)


def apart(one: Picture, other: Picture) -> int:
    """The largest difference of a channel, of 255."""
    return int(np.abs(np.asarray(one.image, int) - np.asarray(other.image, int)).max())


def tensors(adapter: Adapter) -> dict[str, Tensor]:
    """By layer and suffix."""
    return {
        f"{name}.{suffix}": tensor
        for name, factors in adapter.layers.items()
        for suffix, tensor in factors.to_tensors().items()
    }


def check_interruption(trained: Run, base: Base, root: Path, settings: Mapping[str, str]) -> None:
    """A run that is stopped in its third step and gone on with ends as the one that was not, to the bit."""
    project = build_project(root, base.folder)
    work = train(project, read_recipe(project, settings), base=base)
    for event in work:
        if isinstance(event, StepDone) and event.step == 3:
            break
    work.close()
    done, _ = run(project, base, settings, resume=True)
    ours, uninterrupted = tensors(load_adapter(done.adapter)), tensors(load_adapter(trained.done.adapter))
    assert ours.keys() == uninterrupted.keys()
    assert all(torch.equal(ours[key], uninterrupted[key]) for key in ours)


def check_sweep(trained: Run, base: Base, root: Path, settings: Mapping[str, str]) -> None:
    """A sweep's variant of rank 4 is the run of that rank alone."""
    project = build_project(root, base.folder, "[sweep]\nrank = [2, 4]\n")
    others = {key: value for key, value in settings.items() if key != "rank"}
    swept = finish(train_sweep(project, read_sweep(project, others), base=base))
    assert not swept.failed
    ours, alone = (tensors(load_adapter(file)) for file in (swept.variants["rank4"]["adapter"], trained.done.adapter))
    for key, tensor in alone.items():
        torch.testing.assert_close(ours[key], tensor, rtol=2e-2, atol=1e-4)


def check_checkpointing(trained: Run, base: Base, root: Path, settings: Mapping[str, str]) -> None:
    """Computing activations again changes no loss."""
    project = build_project(root, base.folder)
    _, events = run(project, base, {**settings, "checkpointing": "true"})
    losses = [event.loss for event in events if isinstance(event, StepDone)]
    assert losses == pytest.approx(trained.losses, rel=1e-5)


def check_company(trained: Run, base: Base, other: str) -> None:
    """A picture of a batch with different adapters is the picture alone; `other` is what stands beside it."""
    pipeline = Pipeline(base, AdapterCache([trained.done.adapter, trained.done.run / "snapshots"]))
    specs = [
        PictureSpec("zbk, smile <lora:zbk:3>", seed=1, width=64, height=64, steps=2),
        PictureSpec(other, seed=2, width=64, height=64, steps=2),
        PictureSpec("zbk, smile", seed=1, width=64, height=64, steps=2),
    ]
    together = draw(pipeline, *specs)
    for spec, picture in zip(specs, together, strict=True):
        assert apart(picture, draw(pipeline, spec)[0]) <= 1, spec.prompt
    assert apart(together[0], together[2]) > 1
