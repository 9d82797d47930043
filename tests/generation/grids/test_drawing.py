"""Grids on disk: control drawn once, failing cells, resuming, publishing, marks."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.errors import BaseError, RefusedError, StorageError, UsageError
from lorasmith.events import Event, Note, Progress, finish
from lorasmith.generation.grids import cost as cost_module
from lorasmith.generation.grids.axes import (
    CONTROL,
    STILL,
    Axis,
    Edit,
    adapter_axis,
    field_axis,
    strength_axis,
    swap_axis,
)
from lorasmith.generation.grids.cost import Cost, count_cost, measure_cost
from lorasmith.generation.grids.drawing import CELLS, Grid, Order, draw_order, take_order
from lorasmith.generation.grids.folders import claim_folder
from lorasmith.generation.grids.marks import Marks, copy_kept, find_folder, read_marks
from lorasmith.generation.grids.publishing import RECORD, publish, tell_settings
from lorasmith.generation.pictures import Picture, read_picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from tests.adapters.drawing import trained_adapter

REQUEST = PictureSpec("red hat", seed=3, steps=2)


@pytest.fixture
def pipeline(tmp_path: Path, tiny_base: Base) -> Pipeline:
    for seed, name in enumerate(("early", "late")):
        adapter = trained_adapter(tiny_base, rank=2, alpha=2.0, seed=seed)
        save_adapter(tmp_path / "adapters" / f"{name}.safetensors", adapter, torch.float32)
    return Pipeline(tiny_base, AdapterCache([tmp_path / "adapters"]), batch_size=4)


def order_of(
    pipeline: Pipeline, folder: Path, x: Axis, y: Axis = STILL, z: Axis = STILL, spec: PictureSpec = REQUEST
) -> Order:
    return finish(take_order(spec, x, y, lambda _: pipeline, folder, z=z, adapter="late"))


def drawn(pipeline: Pipeline, order: Order, seen: list[Event] | None = None) -> Grid:
    return finish(draw_order(order, lambda _: pipeline), None if seen is None else seen.append)


def test_snapshots_by_strengths_with_control_drawn_once_and_kept(pipeline: Pipeline, tmp_path: Path) -> None:
    x, y = strength_axis([0.5, 1.0]), adapter_axis(["early", "late"])
    order = order_of(pipeline, tmp_path / "g", x, y)
    assert count_cost(order) == Cost(cells=6, impossible=0, pictures=5, kept=0, steps=10)
    seen: list[Event] = []
    grid = drawn(pipeline, order, seen)
    assert [(cell.x, cell.y) for cell in grid.cells[:3]] == [
        *((CONTROL, "early"), ("strength 0.5", "early"), ("strength 1", "early")),
    ]
    assert [cell.spec.prompt for cell in grid.cells if cell.spec] == [
        *("red hat", "red hat <lora:early:0.5>", "red hat <lora:early:1>"),
        *("red hat", "red hat <lora:late:0.5>", "red hat <lora:late:1>"),
    ]
    assert grid.cells[0].path == grid.cells[3].path
    progress = [event for event in seen if isinstance(event, Progress)]
    assert (progress[-1].done, progress[-1].total) == (10, 10)
    paths = {cell.path for cell in grid.cells if cell.path}
    assert len({path.read_bytes() for path in paths}) == 5
    assert len(list((tmp_path / "g" / CELLS).iterdir())) == 5

    # The same cells under other axes are known again; a file that is another's picture is not taken for it.
    again = order_of(pipeline, tmp_path / "g", strength_axis([1.0, 0.7]), adapter_axis(["late"]))
    assert [wanted.kept for wanted in again.pictures] == [True, True, False]
    last = grid.cells[-1].path
    assert last is not None
    first = grid.cells[0].path
    assert first is not None
    last.write_bytes(first.read_bytes())
    again = order_of(pipeline, tmp_path / "g", strength_axis([1.0]), adapter_axis(["late"]))
    assert [wanted.kept for wanted in again.pictures] == [True, False]


def test_another_adapter_under_the_same_name_is_drawn_anew(pipeline: Pipeline, tiny_base: Base, tmp_path: Path) -> None:
    before = order_of(pipeline, tmp_path, strength_axis([1.0]))
    changed = trained_adapter(tiny_base, rank=2, alpha=2.0, seed=7)
    save_adapter(tmp_path / "adapters" / "late.safetensors", changed, torch.float32)
    after = order_of(pipeline, tmp_path, strength_axis([1.0]))
    assert before.pictures[0].key == after.pictures[0].key  # the control
    assert before.pictures[1].key != after.pictures[1].key


def test_failing_cells_say_why_and_the_others_are_drawn(pipeline: Pipeline, tmp_path: Path) -> None:
    x = swap_axis([("hat", "hat"), ("wool", "hair")])
    order = order_of(pipeline, tmp_path, x, adapter_axis(["early", "laet"]), field_axis("steps", [1, 0]))
    grid = drawn(pipeline, order)
    assert [cell.error is None for cell in grid.cells] == [True, False, False, False, False, False, False, False]
    assert "neither in the prompt" in (grid.cells[1].error or "")
    assert "Did you mean late" in (grid.cells[2].error or "")
    assert "steps: 0" in (grid.cells[4].error or "")
    assert grid.page(1)[0][0] is grid.cells[4]


def test_a_picture_that_fails_while_it_is_drawn_fails_alone(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = pipeline.draw

    def fail(specs: Sequence[PictureSpec]) -> Generator[Event, None, list[Picture]]:
        if any(spec.seed == 2 for spec in specs):
            raise RuntimeError("out of memory")
        return (yield from draw(specs))

    monkeypatch.setattr(pipeline, "draw", fail)
    grid = drawn(pipeline, order_of(pipeline, tmp_path, field_axis("seed", [1, 2, 3])))
    assert [cell.error for cell in grid.cells] == [None, "out of memory", None]


def test_stopping_keeps_what_is_drawn(pipeline: Pipeline, tmp_path: Path) -> None:
    order = order_of(pipeline, tmp_path, field_axis("seed", [1, 2, 3, 4, 5, 6]))
    work = draw_order(order, lambda _: pipeline)
    while len(list((tmp_path / CELLS).glob("*.png"))) < 4:
        next(work)
    work.close()
    again = order_of(pipeline, tmp_path, field_axis("seed", [1, 2, 3, 4, 5, 6]))
    assert [wanted.kept for wanted in again.pictures] == [True] * 4 + [False] * 2


def test_a_refused_prompt_refuses_the_grid(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_spec: PictureSpec) -> None:
        raise RefusedError("refused", where="prompt")

    monkeypatch.setattr(type(pipeline.preparer), "prepare", lambda _self, spec: refuse(spec))
    with pytest.raises(RefusedError):
        order_of(pipeline, tmp_path, field_axis("seed", [1]))


def test_a_base_that_does_not_load_fails_its_cells(pipeline: Pipeline, tmp_path: Path) -> None:
    def open_pipeline(name: str) -> Pipeline:
        if name == "gone":
            raise BaseError("no such base.", where=name)
        return pipeline

    x = Axis("base", ("a", "b"), (_on("tiny"), _on("gone")))
    order = finish(take_order(REQUEST, x, STILL, open_pipeline, tmp_path))
    grid = finish(draw_order(order, open_pipeline))
    assert [cell.error for cell in grid.cells] == [None, "gone: no such base."]


def _on(name: str) -> Edit:
    return lambda draft: replace(draft, base=name)


def test_a_published_grid_and_its_favourites(pipeline: Pipeline, tmp_path: Path) -> None:
    folder = tmp_path / "grids" / "one"
    order = order_of(pipeline, folder, strength_axis([1.0]), field_axis("seed", [1, 2]), field_axis("steps", [1, 0]))
    claim_folder(folder, RECORD)
    published = finish(publish(drawn(pipeline, order), title="A </script> title"))
    assert [sheet.name for sheet in published.sheets] == ["grid-1.png", "grid-2.png"]
    with Image.open(published.sheets[0]) as sheet:
        assert sheet.width > 2 * 192
    record = json.loads(published.record.read_text("utf-8"))
    assert (record["title"], record["x"]["labels"]) == ("A </script> title", [CONTROL, "strength 1"])
    assert len(record["cells"]) == 8
    assert "steps: 0" in record["cells"][4]["error"]
    page = published.page.read_text("utf-8")
    assert page.count("</script>") == 2
    data = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    shown = data["cells"][0]
    assert (folder / shown["path"]).is_file()
    assert shown["infotext"].startswith("red hat\nSteps: 1")
    for word in ("http:", "https:", "//cdn"):
        assert word not in page

    marks = tmp_path / "favourites.json"
    kept = record["cells"][3]["key"]
    marks.write_text(
        json.dumps({"kind": "lorasmith marks", "version": 1, "of": record["id"], "marks": {kept: "favourite"}})
    )
    told = read_marks(marks)
    assert find_folder(told, [tmp_path / "none", tmp_path / "grids"], RECORD) == folder
    for _ in range(2):  # a second time changes nothing
        ((source, copy),) = copy_kept(told, folder, RECORD, tmp_path / "kept")
        assert copy.read_bytes() == source.read_bytes()
    spec = read_picture(copy).spec
    assert spec is not None
    assert (spec.seed, spec.prompt) == (2, "red hat <lora:late:1>")

    # Drawn again the grid is the same one, so that marks in the browser stay; old sheets go.
    again = finish(publish(drawn(pipeline, order_of(pipeline, folder, strength_axis([1.0]))), embed=True))
    assert json.loads(again.record.read_text("utf-8"))["id"] == record["id"]
    assert [path.name for path in sorted(folder.glob("*.png"))] == ["grid.png"]
    assert "data:image/png;base64," in again.page.read_text("utf-8")
    with pytest.raises(UsageError, match="no picture of this grid"):
        copy_kept(read_marks(marks), folder, RECORD, tmp_path / "kept")


def test_marks_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "marks.json"
    for text in ("[]", "{}", "{", '{"kind": "lorasmith marks", "of": "a", "marks": {"k": "eaten"}}'):
        file.write_text(text)
        with pytest.raises(UsageError):
            read_marks(file)
    file.write_text('{"kind": "lorasmith marks", "of": "a", "marks": {"k": "keep"}}')
    with pytest.raises(UsageError, match="none of these"):
        find_folder(read_marks(file), [tmp_path], RECORD)
    record = {"id": "a", "cells": [{"key": "k", "path": "../marks.json"}]}
    (tmp_path / RECORD).write_text(json.dumps(record))
    with pytest.raises(UsageError, match="leads out"):
        copy_kept(read_marks(file), tmp_path, RECORD, tmp_path / "kept")


def test_large_sheets_are_scaled_with_a_note(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_folder(tmp_path / "g", RECORD)
    grid = drawn(pipeline, order_of(pipeline, tmp_path / "g", field_axis("seed", [1, 2])))
    whole = finish(publish(grid, full_size=True))
    monkeypatch.setattr("lorasmith.generation.grids.publishing.MOST_SIDE", 300)
    seen: list[Event] = []
    small = finish(publish(grid), seen.append)
    assert whole.scale == 1
    assert 0.5 <= small.scale < 1
    assert any(isinstance(event, Note) and "full_size writes them whole" in event.message for event in seen)
    with Image.open(small.sheets[0]) as sheet:
        assert sheet.width < 450


def test_settings_that_all_cells_share(pipeline: Pipeline, tmp_path: Path) -> None:
    order = order_of(pipeline, tmp_path, field_axis("seed", [1, 2]))
    assert tell_settings(wanted.spec for wanted in order.pictures) == "2 steps · DDIM · cfg 7 · 64x64"
    assert tell_settings([]) == ""


def test_the_time_is_measured_where_it_is_worth_it(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_of(pipeline, tmp_path, field_axis("seed", [1, 2, 3, 4, 5]))
    ticks = iter(range(100))

    def measure() -> Cost:
        return finish(measure_cost(order, lambda _: pipeline, lambda: float(next(ticks))))

    assert measure().seconds is None
    monkeypatch.setattr(cost_module, "WORTH_MEASURING", 1)
    # A batch of four takes a second a step, so a picture a quarter: ten steps of single pictures.
    told = measure()
    assert told.seconds == pytest.approx(2.5)
    assert str(told) == "5 cells, 5 to draw, 10 steps, about 2 s"


def test_a_kept_picture_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(json.dumps({"id": "x", "cells": [{"key": "a", "path": "cells/a.png"}]}))
    with pytest.raises(StorageError, match=r"cells/a\.png: cannot be read: No such file"):
        copy_kept(Marks("x", {"a": "keep"}), tmp_path, RECORD, tmp_path / "kept")
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "a.png").write_bytes(b"png")
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(StorageError, match="cannot write"):
        copy_kept(Marks("x", {"a": "keep"}), tmp_path, RECORD, tmp_path / "kept")
