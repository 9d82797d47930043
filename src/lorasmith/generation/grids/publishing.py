"""What a drawn grid leaves in its folder: sheets to show around, a page to look closely, and `grid.json`.

NAME/grid.png            one sheet, or grid-1.png, grid-2.png ... for the places of the z axis
NAME/index.html          the page
NAME/grid.json           axes and cells
NAME/cells/*.png         the pictures, each with its own recipe inside
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lorasmith.errors import ImageError
from lorasmith.events import Note, Progress, Work
from lorasmith.generation.grids.axes import Axis
from lorasmith.generation.grids.drawing import Cell, Grid
from lorasmith.generation.grids.folders import VERSION, claim_folder
from lorasmith.generation.grids.page import PageAxis, Shown, address, draw_page
from lorasmith.generation.grids.streaming import write_png
from lorasmith.generation.infotext import INFOTEXT_KEY
from lorasmith.generation.sheets import Table, plan_table, shown_size
from lorasmith.generation.spec import PARAMETERS, PictureSpec
from lorasmith.remedies import Give
from lorasmith.storage.files import write_file

RECORD = "grid.json"
PAGE = "index.html"
#: Sheets up to this size are shown by every picture viewer; larger grids are scaled unless asked for whole.
MOST_PIXELS = 80_000_000
MOST_SIDE = 16_000
LEAST_SHOWN = 96  # pixels of a cell's longer side, below which scaling stops


@dataclass(frozen=True)
class Published:
    """What was written. `scale` is how much smaller than drawn the sheets show the cells; 1 when they do not."""

    record: Path
    page: Path
    sheets: tuple[Path, ...]
    scale: float

    def as_json(self) -> dict[str, Any]:
        """The paths."""
        return {"grid": self.sheets[0], "pages": list(self.sheets), "viewer": self.page, "record": self.record}


def publish(grid: Grid, *, title: str | None = None, full_size: bool = False, embed: bool = False) -> Work[Published]:
    """Write sheets, page and record into the grid's folder, over those of the last time. Raises StorageError.

    Sheets that would be too large for viewers show their cells smaller, with a note, unless `full_size`; they are
    written in bands, so that no size is too large. With `embed` the page holds its pictures.
    """
    heading = grid.spec.prompt if title is None else title
    note = tell_settings(cell.spec for cell in grid.cells if cell.spec)
    record = grid.folder / RECORD
    identity = claim_folder(grid.folder, RECORD)
    sizes = Counter(_size(cell.path) for cell in grid.cells if cell.path)
    written = yield from _write_sheets(grid, heading, note, shown_size(sizes), full_size)
    sheets, scale = written
    page = grid.folder / PAGE
    cells = [_show(cell, page, embed) for cell in grid.cells]
    shape = sizes.most_common(1)[0][0] if sizes else (1, 1)
    sides = (_side(grid.x), _side(grid.y), _side(grid.z))
    write_file(page, draw_page("grid", identity, heading, note, sides, shape, cells))
    document = {
        "version": VERSION,
        "id": identity,
        "title": heading,
        "settings": note,
        "x": {"title": grid.x.title, "labels": grid.x.labels},
        "y": {"title": grid.y.title, "labels": grid.y.labels},
        "z": {"title": grid.z.title, "labels": grid.z.labels},
        "sheets": [sheet.name for sheet in sheets],
        "page": page.name,
        "cells": [_record(cell, grid.folder) for cell in grid.cells],
    }
    write_file(record, json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n")
    return Published(record, page, tuple(sheets), scale)


_TOLD_APART = frozenset({"prompt", "negative", "seed", "steps", "sampler", "cfg", "width", "height", "base"})


def tell_settings(specs: Iterable[PictureSpec]) -> str:
    """In a line what all specs share: seed, steps, sampler, guidance, size and the rest that is not as usual."""
    known = list(specs)
    if not known:
        return ""
    one = known[0]

    def same(field: str) -> bool:
        return all(getattr(other, field) == getattr(one, field) for other in known)

    words = []
    if same("seed"):
        words.append(f"seed {one.seed}")
    if same("steps"):
        words.append(f"{one.steps} steps")
    if same("sampler"):
        words.append(one.sampler)
    if same("cfg") and one.cfg is not None:
        words.append(f"cfg {one.cfg:g}")
    if same("width") and same("height"):
        words.append(f"{one.width}x{one.height}")
    for field, parameter in PARAMETERS.items():
        if field in _TOLD_APART or "." in field or not same(field) or getattr(one, field) == parameter.default:
            continue
        value = "" if parameter.kind == "boolean" else f" {getattr(one, field)}"
        words.append(f"{field.replace('_', ' ')}{value}")
    if same("hires") and one.hires is not None:
        words.append("second pass")
    if same("negative") and one.negative:
        words.append(f"negative: {one.negative}")
    return " · ".join(words)


def _write_sheets(
    grid: Grid, heading: str, note: str, cell: tuple[int, int], full_size: bool
) -> Work[tuple[list[Path], float]]:
    pages = len(grid.z)
    scale = 1.0 if full_size else _scale(cell, len(grid.x), len(grid.y))
    if scale < 1:
        small = f"the grid is large: its sheets show the cells at {scale:.0%} of their size."
        yield Note(f"{small} {Give('full_size')} writes them whole.")
    side = (max(1, round(cell[0] * scale)), max(1, round(cell[1] * scale)))
    sheets = []
    for index in range(pages):
        title = heading if pages == 1 else f"{grid.z.labels[index]}\n{heading}"
        table = plan_table(
            side,
            len(grid.x),
            len(grid.y),
            _shown_labels(grid.x.labels),
            _shown_labels(grid.y.labels),
            title.replace("\0", " "),
            note,
        )
        path = grid.folder / ("grid.png" if pages == 1 else f"grid-{index + 1}.png")
        sheets.append(write_png(path, (table.width, table.height), table.bands(_rows(grid.page(index)))))
        yield Progress("sheets", index + 1, pages)
    for old in grid.folder.glob("grid*.png"):
        if old not in sheets and (old.stem == "grid" or old.stem.removeprefix("grid-").isdigit()):
            old.unlink()
    return sheets, scale


def _rows(page: list[tuple[Cell, ...]]) -> Iterator[list[Image.Image | str]]:
    for row in page:
        yield [_open(cell.path) if cell.path else cell.error or "" for cell in row]


def _open(path: Path) -> Image.Image | str:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as fault:
        return f"{path.name} cannot be read: {fault}"


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError) as fault:
        raise ImageError(f"cannot be read as a picture: {fault}.", where=path) from None


def _scale(cell: tuple[int, int], across: int, down: int) -> float:
    def fits(scale: float) -> bool:
        table: Table = plan_table((max(1, round(cell[0] * scale)), max(1, round(cell[1] * scale))), across, down)
        return table.width * table.height <= MOST_PIXELS and max(table.width, table.height) <= MOST_SIDE

    least = min(1.0, LEAST_SHOWN / max(cell))
    for step in range(math.ceil(math.log(least) / math.log(0.9)) if least < 1 else 0):
        if fits(0.9**step):
            return 0.9**step
    return least


def _shown_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    return labels if any(labels) else ()


def _side(axis: Axis) -> PageAxis:
    return PageAxis(axis.title, axis.labels)


def _show(cell: Cell, page: Path, embed: bool) -> Shown:
    if cell.path is None:
        return Shown(cell.x, cell.y, cell.z, None, None, cell.error or "")
    return Shown(cell.x, cell.y, cell.z, cell.key, address(cell.path, page, embed), None, infotext_of(cell.path))


def infotext_of(path: Path) -> str:
    """What a picture's file says of itself in the A1111 manner; empty where it says nothing."""
    with Image.open(path) as image:
        return str(image.info.get(INFOTEXT_KEY, ""))


def _record(cell: Cell, folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = {"x": cell.x, "y": cell.y, "z": cell.z}
    if cell.path is None or cell.spec is None:
        return {**record, "error": cell.error}
    spec = cell.spec
    return {
        **record,
        "key": cell.key,
        "path": cell.path.relative_to(folder).as_posix(),
        "base": cell.base,
        "seed": spec.seed,
        "prompt": spec.prompt,
        "negative": spec.negative,
    }
