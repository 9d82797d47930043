"""A grid's pictures are the same to the byte whoever draws them, and one of them cannot end it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.events import finish
from lorasmith.face.drawing import Pipelines
from lorasmith.generation.grids import drawing
from lorasmith.generation.grids.axes import adapter_axis, strength_axis
from lorasmith.generation.grids.drawing import Grid, draw_order, take_order
from lorasmith.generation.spec import PictureSpec
from lorasmith.pools.local import LocalBody
from lorasmith.pools.pool import Job, Pool
from tests.adapters.drawing import trained_adapter
from tests.generation.grids.blank import open_blank


@pytest.fixture
def pipelines(tmp_path: Path, tiny_base: Base) -> Pipelines:
    files = [tmp_path / "adapters" / f"{name}.safetensors" for name in ("early", "late")]
    for seed, file in enumerate(files):
        save_adapter(file, trained_adapter(tiny_base, rank=2, alpha=2.0, seed=seed), torch.float32)
    return Pipelines(files, "fp32")


def draw(pipelines: Pipelines, base: Path, folder: Path) -> Grid:
    x, y = strength_axis([0.5, 1.0]), adapter_axis(["early", "late"])
    spec = PictureSpec("red hat", seed=3, steps=2)
    order = finish(take_order(spec, x, y, pipelines, folder, adapter="late", base=str(base)))
    pipelines(str(base)).batch_size = 2
    return finish(draw_order(order, pipelines))


def use(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(drawing, "open_pool", lambda *_: Pool(LocalBody(workers) if workers else None))


def test_the_same_files_whatever_the_number_of_workers(
    pipelines: Pipelines, tiny_base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for workers in (0, 1, 2):
        use(monkeypatch, workers)
        grid = draw(pipelines, tiny_base_folder, tmp_path / str(workers))
        assert all(cell.path and not cell.error for cell in grid.cells)
        found.append({path.name: path.read_bytes() for path in (tmp_path / str(workers)).rglob("*.png")})
    assert len(found[0]) == 5
    assert found[0] == found[1] == found[2]


def test_a_picture_that_ends_its_process_is_named_and_the_others_are_drawn(
    pipelines: Pipelines, tiny_base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, 2)
    monkeypatch.setattr(drawing, "Job", lambda *_: Job(open_blank))
    grid = draw(pipelines, tiny_base_folder, tmp_path / "grid")
    errors = {f"{cell.x} {cell.y}": cell.error for cell in grid.cells}
    assert errors.pop("strength 0.5 late") == "it ends every process that draws it."
    assert len(errors) == 5
    assert set(errors.values()) == {None}
