"""`lorasmith grid`: anything beside anything, above all snapshots by strengths."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.commands.generate import read_size
from lorasmith.cli.groups import group_around
from lorasmith.cli.precision import PrecisionOption, WeightsOption, read_precision, read_weights
from lorasmith.cli.rendering import print_json, say, show
from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from lorasmith.bases.precision import Precision, Weights
    from lorasmith.generation.grids.drawing import OpenPipeline
    from lorasmith.generation.pipeline import Pipeline
    from lorasmith.generation.spec import PictureSpec

DEFAULT_STRENGTHS = "0.6,0.8,1.0"
#: Longer work is asked about first, where somebody can answer.
ASKED_FROM = 300.0
HOUSE = Path("grids")


app = typer.Typer(
    cls=group_around("draw"), help="Draw snapshots by strengths, or anything by anything.", no_args_is_help=True
)


@app.command()
def draw(
    prompt: Annotated[str, typer.Option(help="What to draw in every cell, without adapter tags.")],
    adapters: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[ADAPTER_OR_RUN]...", help="Adapter files, run folders or project folders."),
    ] = None,
    strengths: Annotated[str, typer.Option(help="Columns, beside the bare base: 0.6,0.8 or 0.2..1.0/0.2.")] = (
        DEFAULT_STRENGTHS
    ),
    x: Annotated[
        str | None,
        typer.Option(
            metavar="KIND=VALUES", help='Other columns: "seed=1-5", "sampler=DDIM,Euler a", "prompt=red,blue" ...'
        ),
    ] = None,
    y: Annotated[str | None, typer.Option(metavar="KIND=VALUES", help="Other rows than the adapters.")] = None,
    z: Annotated[str | None, typer.Option(metavar="KIND=VALUES", help="A page for each.")] = None,
    control: Annotated[bool, typer.Option(help="The bare base before the strengths.")] = True,
    base: Annotated[
        str | None, typer.Option(help='"doodle", a diffusers folder or a checkpoint; else that of the project.')
    ] = None,
    precision: PrecisionOption = "auto",
    weights: WeightsOption = "full",
    seed: Annotated[int, typer.Option(help="The same in every cell.")] = 0,
    steps: Annotated[int, typer.Option(help="Sampling steps.")] = 20,
    cfg: Annotated[float | None, typer.Option(help="Guidance; the base's own if none.")] = None,
    sampler: Annotated[str, typer.Option(help="By its A1111 name.")] = "DDIM",
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Of a cell, in pixels.")] = None,
    negative: Annotated[str, typer.Option(help="What to guide away from.")] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any other field of a picture: hires.scale=2."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Above the grid; the prompt if none.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the grid's folder; the same name again adds to what is drawn.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the grid's folder goes.")] = HOUSE,
    full_size: Annotated[bool, typer.Option("--full-size", help="Never scale the sheet down.")] = False,
    embed: Annotated[bool, typer.Option("--embed", help="Put the pictures into the page itself.")] = False,
    cost: Annotated[bool, typer.Option("--cost", help="Only say what it would cost.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before long work.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Draw a grid: a PNG, a page to look closely, and every cell as a picture.

    The same command goes on where it was stopped, and draws nothing twice. Kinds of axes: strength, te, unet,
    adapter (none is the bare base), prompt (search and replace), prompts, order, negative, base, size, seed, steps,
    cfg, sampler, schedule, clip_skip, blocks, and every other field of a picture; `lorasmith grid draw` tells them all
    when one is wrong.

    Example: lorasmith grid my-lora --prompt "zbk, smile, blue background" --strengths 0.4..1.0/0.2
    """
    files = [file for given in adapters or [] for file in find_adapters(given)]
    names = _name_all(files)
    width, height = read_size(size)
    from lorasmith.generation.grids.axes import STILL, adapter_axis
    from lorasmith.generation.grids.cost import count_cost, measure_cost
    from lorasmith.generation.grids.drawing import draw_order, take_order
    from lorasmith.generation.grids.folders import claim_folder, find_identity
    from lorasmith.generation.grids.publishing import RECORD, publish
    from lorasmith.generation.grids.typed import read_axis
    from lorasmith.generation.spec import PictureSpec

    if not files and x is None:
        raise UsageError(
            "a grid needs adapters, or an axis.", hint='For example: lorasmith grid my-lora, or --x "seed=1-5".'
        )
    columns = read_axis(x or f"strength={strengths}", control)
    rows = read_axis(y, control) if y else adapter_axis(names, _label_all(files)) if files else STILL
    pages = read_axis(z, control) if z else STILL
    if y and not z and len(names) > 1 and "adapter" not in (columns.title, rows.title):
        pages = adapter_axis(names, _label_all(files))
    spec = _set_fields(PictureSpec(prompt, negative, seed, steps, cfg, sampler, width, height), settings or [])
    where = base or (base_of(files[-1]) if files else "doodle")
    facts = [spec.as_json(), (x or strengths, y, z, *map(str, files), where)]
    folder = out / (name or name_folder(spec.prompt, facts, "grid"))
    check_folder_name(name)
    find_identity(folder, RECORD)
    open_pipeline = pipelines(files, read_precision(precision), read_weights(weights))
    order = show(
        take_order(
            spec, columns, rows, open_pipeline, folder, z=pages, adapter=names[-1] if names else None, base=where
        ),
        as_json,
    )
    told = show(measure_cost(order, open_pipeline), as_json) if not yes or cost else count_cost(order)
    if cost:
        if as_json:
            print_json({"cost": told})
        else:
            say(str(told))
        return
    if not as_json:
        say(str(told))
        if not yes and (told.seconds or 0) >= ASKED_FROM and sys.stdin.isatty() and not typer.confirm("Draw it?", True):
            return
    claim_folder(folder, RECORD)
    grid = show(draw_order(order, open_pipeline), as_json)
    published = show(publish(grid, title=title, full_size=full_size, embed=embed), as_json)
    cells = [_cell(cell, len(pages) > 1 or z is not None) for cell in grid.cells]
    if as_json:
        print_json({**published.as_json(), "cells": cells})
        return
    for cell in cells:
        if "error" in cell:
            place = ", ".join(filter(None, (cell["x"], cell["y"], cell["z"])))
            say(f"not drawn ({place}): {cell['error']}", style="yellow")
    for sheet in published.sheets:
        say(f"grid: {sheet}", style="green")
    say(f"look closely, and pick favourites: open {published.page}")


@app.command()
def pick(
    marks: Annotated[Path, typer.Argument(metavar="FAVOURITES.json", help="Downloaded from a grid's page.")],
    grid: Annotated[
        Path | None, typer.Argument(metavar="[GRID]", help="Its folder; else it is looked for in ./grids.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where copies go; GRID/kept if none.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Copy the favourites that were marked on a grid's page to a folder of their own.

    Example: lorasmith grid pick ~/Downloads/favourites-5f0c.json
    """
    from lorasmith.generation.grids.marks import copy_kept, find_folder, read_marks
    from lorasmith.generation.grids.publishing import RECORD

    told = read_marks(marks)
    folder = grid or find_folder(told, [HOUSE, Path()], RECORD)
    copies = copy_kept(told, folder, RECORD, out or folder / "kept")
    if as_json:
        print_json({"grid": folder, "pictures": [{"from": source, "path": target} for source, target in copies]})
        return
    for _, target in copies:
        say(str(target))
    if not copies:
        say("no favourites: star some on the page first.")


def pipelines(files: list[Path], precision: Precision = "auto", weights: Weights = "full") -> OpenPipeline:
    """Pipelines over these adapters by base. The last one is kept; it goes before another base is loaded, so that two
    bases need not fit into memory together."""
    import gc

    from lorasmith.adapters.cache import AdapterCache
    from lorasmith.bases.base import open_base
    from lorasmith.generation.pipeline import Pipeline

    shelf = AdapterCache(files)
    kept: dict[str, Pipeline] = {}

    def open_pipeline(base: str) -> Pipeline:
        if base not in kept:
            kept.clear()
            gc.collect()
            kept[base] = Pipeline(open_base(base, precision, weights=weights), shelf)
        return kept[base]

    return open_pipeline


def find_adapters(given: Path) -> list[Path]:
    """An adapter file itself; a run's adapters in the order of training, the final one last; a project's newest."""
    from lorasmith.adapters.runs import newest_adapters, run_adapters

    if given.is_file():
        return [given]
    if not given.is_dir():
        raise UsageError("no such file or folder.", where=given)
    found = newest_adapters(given / "runs") or run_adapters(given)
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


def _name_all(files: list[Path]) -> list[str]:
    names = [file.stem for file in files]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UsageError(f"several adapters are named {', '.join(twice)}.", hint="Rename one, or draw them apart.")
    return names


def _label_all(files: list[Path]) -> list[str]:
    """Names with the step that a snapshot was saved at, where its file tells."""
    from lorasmith.adapters.container import read_header
    from lorasmith.errors import AdapterError

    labels = []
    for file in files:
        try:
            told = read_header(file).metadata
        except AdapterError:  # its cells say what is wrong with it
            told = {}
        steps = told.get("ss_steps", "")
        labels.append(f"{file.stem}\nstep {steps}" if len(files) > 1 and steps.isdigit() else file.stem)
    return labels


def _set_fields(spec: PictureSpec, settings: list[str]) -> PictureSpec:
    from lorasmith.generation.grids.fields import read_field, set_field

    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f'--set "{setting}" is not understood.', hint="Write FIELD=VALUE: hires.scale=2.")
        values = read_field(field.strip(), [value.strip()])
        if len(values) != 1:
            raise UsageError(f'--set "{setting}" gives {len(values)} values.', hint="Make it an axis: --y.")
        spec = set_field(spec, field.strip(), values[0])
    return spec


def check_folder_name(name: str | None) -> None:
    """Raise UsageError where `--name` says more than a name."""
    if name and Path(name).name != name:
        raise UsageError(f'--name "{name}" is not a folder\'s name.', hint="Say where it goes with --out.")


def name_folder(text: str, told: Sequence[object], otherwise: str) -> str:
    """A name for the folder that the same command gives again: of `text`, or `otherwise`, with a hash of `told`."""
    import hashlib
    import json

    from lorasmith.project import safe_name

    document = json.dumps(told, sort_keys=True, default=str)
    digest = hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{safe_name(text)[:32].rstrip('._-') or otherwise}-{digest[:6]}"


def _cell(cell: Any, paged: bool) -> dict[str, Any]:
    x, y, z = (label.replace("\n", " ") for label in (cell.x, cell.y, cell.z))
    told: dict[str, Any] = {"x": x, "y": y, "z": z if paged else None}
    told["path" if cell.path else "error"] = cell.path or cell.error
    return told
