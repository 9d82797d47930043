"""`lorasmith grid`: adapters and strengths side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.commands.generate import read_size
from lorasmith.cli.rendering import print_json, say, show
from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from lorasmith.generation.grid import Grid

DEFAULT_STRENGTHS = "0.6,0.8,1.0"


def command(
    adapters: Annotated[
        list[Path],
        typer.Argument(metavar="ADAPTER_OR_RUN...", help="Adapter files, run folders or project folders."),
    ],
    prompt: Annotated[str, typer.Option(help="What to draw in every cell, without adapter tags.")],
    strengths: Annotated[str, typer.Option(help="Columns, beside the bare base.")] = DEFAULT_STRENGTHS,
    x: Annotated[
        str | None,
        typer.Option(metavar="KIND=VALUES", help="Other columns: seed=1,2 cfg=3,5 sampler=... prompt=a,b"),
    ] = None,
    y: Annotated[str | None, typer.Option(metavar="KIND=VALUES", help="Other rows than the adapters.")] = None,
    base: Annotated[
        str | None, typer.Option(help='"doodle", or a diffusers folder; by default the base of the project.')
    ] = None,
    seed: Annotated[int, typer.Option(help="The same in every cell.")] = 0,
    steps: Annotated[int, typer.Option(help="Sampling steps.")] = 20,
    cfg: Annotated[float | None, typer.Option(help="Guidance; the base's own if none.")] = None,
    sampler: Annotated[str, typer.Option(help="DDIM, Euler a, Euler, DPM++ 2M, DPM++ 2M Karras.")] = "DDIM",
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Of a cell, in pixels.")] = None,
    negative: Annotated[str, typer.Option(help="What to guide away from.")] = "",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the grid and its cells go.")] = Path("grids"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Draw snapshots by strengths, beside the bare base.

    Example: lorasmith grid my-lora --prompt "zbk, smile, blue background" --strengths 0.6,0.8,1.0
    """
    files = [file for given in adapters for file in find_adapters(given)]
    width, height = read_size(size)
    from lorasmith.adapters.shelf import AdapterShelf
    from lorasmith.bases.base import load_base
    from lorasmith.generation.grid import adapter_axis, draw_grid, read_axis
    from lorasmith.generation.request import Request
    from lorasmith.generation.studio import Studio

    names = [file.stem for file in files]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UsageError(f"several adapters are named {', '.join(twice)}.", hint="Rename one, or draw them apart.")
    columns = read_axis(x or f"strength={strengths}")
    rows = read_axis(y) if y else adapter_axis(names)
    request = Request(prompt, negative, seed, steps, cfg, sampler, width, height)
    studio = Studio(load_base(base or base_of(files[-1])), AdapterShelf(files))
    grid = show(draw_grid(studio, request, columns, rows, adapter=names[-1]), as_json)
    document = save_grid(grid, out)
    if as_json:
        print_json(document)
        return
    say(f"grid: {document['grid']}")
    for cell in document["cells"]:
        if "error" in cell:
            say(f"not drawn ({cell['x']}, {cell['y']}): {cell['error']}")


def save_grid(grid: Grid, out: Path) -> dict[str, Any]:
    """Write the sheet and a folder with its cells, under the next free number; gives the JSON document."""
    from lorasmith.generation.pictures import claim_free_path, save_image, save_picture

    path = claim_free_path(out, "grid")
    try:
        cells: list[dict[str, Any]] = []
        for index, cell in enumerate(grid.cells):
            entry: dict[str, Any] = {"x": cell.x, "y": cell.y, "z": None}
            if cell.picture is None:
                entry["error"] = cell.error
            else:
                row, column = divmod(index, grid.columns)
                entry["path"] = save_picture(cell.picture, out / path.stem / f"{row + 1:02d}-{column + 1:02d}.png")
            cells.append(entry)
        save_image(grid.image, path)
    except BaseException:
        if path.stat().st_size == 0:
            path.unlink()
        raise
    return {"grid": path, "cells": cells}


def find_adapters(given: Path) -> list[Path]:
    """An adapter file itself; a run's snapshots, or its adapter when it kept none; a project's last run."""
    if given.is_file():
        return [given]
    if not given.is_dir():
        raise UsageError("no such file or folder.", where=given)
    runs = sorted(path for path in (given / "runs").glob("*") if path.is_dir())
    found = _snapshots(runs[-1] if runs else given)
    if found:
        return found
    raise UsageError("holds no adapter (.safetensors).", where=given, hint="Train one first: lorasmith train PROJECT")


def base_of(file: Path) -> str:
    """The base that the project around an adapter file trains on; the embedded one when there is no project."""
    from lorasmith.project import EMBEDDED, FILE_NAME, open_project
    from lorasmith.recipe.recipe import read_recipe

    for folder in file.resolve().parents:
        if (folder / FILE_NAME).is_file():
            return read_recipe(open_project(folder)).base
    return EMBEDDED


def _snapshots(folder: Path) -> list[Path]:
    for place in (folder / "snapshots", folder):
        found = sorted(file for file in place.glob("*.safetensors") if not file.name.startswith("."))
        if found:
            return found
    return []
