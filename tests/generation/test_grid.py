"""Grids: control column, axes as typed, failing cells, equal cells drawn once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.adapters.files import save_adapter
from lorasmith.adapters.shelf import AdapterShelf
from lorasmith.bases.base import Base
from lorasmith.errors import RefusedError, UsageError
from lorasmith.events import Event, Progress, finish
from lorasmith.generation.grid import (
    CONTROL,
    adapter_axis,
    draw_grid,
    read_axis,
    replacement_axis,
    request_axis,
    snapshot_grid,
    strength_axis,
)
from lorasmith.generation.request import Request
from lorasmith.generation.studio import Studio
from tests.adapters.drawing import trained_adapter

REQUEST = Request("red hat", seed=3, steps=2)


@pytest.fixture
def studio(tmp_path: Path, tiny_base: Base) -> Studio:
    for seed, name in enumerate(("early", "late")):
        adapter = trained_adapter(tiny_base, rank=2, alpha=2.0, seed=seed)
        save_adapter(tmp_path / f"{name}.safetensors", adapter, torch.float32)
    return Studio(tiny_base, AdapterShelf([tmp_path]))


def test_snapshots_by_strengths_with_control(studio: Studio) -> None:
    seen: list[Event] = []
    grid = finish(snapshot_grid(studio, REQUEST, ["early", "late"], [0.5, 1.0]), seen.append)
    assert [(cell.x, cell.y) for cell in grid.cells[:3]] == [
        *((CONTROL, "early"), ("strength 0.5", "early"), ("strength 1", "early")),
    ]
    assert grid.columns == 3
    prompts = [cell.picture.request.prompt for cell in grid.cells if cell.picture]
    assert prompts == [
        *("red hat", "red hat <lora:early:0.5>", "red hat <lora:early:1>"),
        *("red hat", "red hat <lora:late:0.5>", "red hat <lora:late:1>"),
    ]
    assert grid.cells[0].picture is grid.cells[3].picture  # drawn once
    assert max(event.total for event in seen if isinstance(event, Progress)) == 2  # five pictures, one batch
    assert len({cell.picture.image.tobytes() for cell in grid.cells if cell.picture}) == 5


def test_a_failing_cell_says_why_and_the_others_are_drawn(studio: Studio) -> None:
    grid = finish(draw_grid(studio, REQUEST, strength_axis([1.0]), adapter_axis(["early", "laet"])))
    assert [cell.error is None for cell in grid.cells] == [True, True, True, False]
    assert "Did you mean late" in (grid.cells[3].error or "")


def test_a_failing_edit_fails_its_cells_only(studio: Studio) -> None:
    x = replacement_axis("hat", ["hat", "hair"])
    grid = finish(draw_grid(studio, REQUEST, x, replacement_axis("hair", ["smile"])))
    assert "neither in the prompt" in (grid.cells[0].error or "")
    assert grid.cells[1].picture is not None
    assert grid.cells[1].picture.request.prompt == "red smile"


def test_a_refused_prompt_refuses_the_grid(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_texts: list[str], where: object) -> None:
        raise RefusedError("refused", where=where)

    monkeypatch.setattr("lorasmith.generation.studio.refuse", refuse)
    with pytest.raises(RefusedError):
        finish(draw_grid(studio, REQUEST, request_axis("seed", [1]), adapter_axis(["early"])))


def test_fields_vary(studio: Studio) -> None:
    grid = finish(draw_grid(studio, REQUEST, request_axis("seed", [1, 2]), read_axis("steps=1, 0"), adapter="late"))
    assert [cell.picture.request.seed for cell in grid.cells[:2] if cell.picture] == [1, 2]
    assert all(cell.picture is None and "steps = 0" in (cell.error or "") for cell in grid.cells[2:])
    assert all("<lora:late:1>" in cell.picture.request.prompt for cell in grid.cells[:2] if cell.picture)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("strength=0.6,1", (CONTROL, "strength 0.6", "strength 1")),
        ("Seed = 1, 2", ("seed 1", "seed 2")),
        ("cfg=3.5", ("cfg 3.5",)),
        ("sampler=Euler a,DDIM", ("sampler Euler a", "sampler DDIM")),
        ("clip_skip=1,2", ("clip skip 1", "clip skip 2")),
        ('prompt=cat,"dog, big",', ("cat", "dog, big", "(nothing)")),
        ('prompt=cat, "dog, big"', ("cat", "dog, big")),
        ("adapter=a,b", ("a", "b")),
    ],
)
def test_axes_as_typed(text: str, labels: tuple[str, ...]) -> None:
    assert read_axis(text).labels == labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strenght=1", 'Did you mean "strength"'),
        ("1,2,3", "Write KIND=VALUES"),
        ("strength=0.6,x", '"x" is not a number'),
        ("seed=1.5", "not a whole number"),
        ("seed=", "seed"),
        ("prompt=", "something to search for"),
    ],
)
def test_axes_not_understood(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_axis(text)
