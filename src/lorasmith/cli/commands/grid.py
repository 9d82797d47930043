"""`lorasmith grid`: anything beside anything, above all snapshots by strengths."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lorasmith.cli.cluster import ClusterOption
from lorasmith.cli.commands.generate import read_size
from lorasmith.cli.groups import group_around
from lorasmith.cli.precision import PrecisionOption, WeightsOption, read_precision, read_weights
from lorasmith.cli.rendering import print_json, say, show
from lorasmith.cli.skipping import SkipUnknown
from lorasmith.cli.spec_options import spec_option
from lorasmith.face.grids import DEFAULT_STRENGTHS, GRIDS
from lorasmith.generation.defaults import default_of

#: Longer work is asked about first, where somebody can answer.
ASKED_FROM = 300.0


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
    seed: Annotated[int, spec_option("seed", "grid", "The same in every cell.")] = default_of("seed", "grid"),
    steps: Annotated[int, spec_option("steps")] = default_of("steps"),
    cfg: Annotated[float | None, spec_option("cfg")] = default_of("cfg"),
    sampler: Annotated[str, spec_option("sampler")] = default_of("sampler"),
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Of a cell, in pixels.")] = None,
    negative: Annotated[str, spec_option("negative")] = default_of("negative"),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any other field of a picture: hires.scale=2."),
    ] = None,
    skip_unknown: SkipUnknown = False,
    title: Annotated[str | None, typer.Option(help="Above the grid; the prompt if none.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the grid's folder; the same name again adds to what is drawn.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the grid's folder goes.")] = GRIDS,
    full_size: Annotated[bool, typer.Option("--full-size", help="Never scale the sheet down.")] = False,
    embed: Annotated[bool, typer.Option("--embed", help="Put the pictures into the page itself.")] = False,
    cluster: ClusterOption = None,
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
    width, height = read_size(size)
    from lorasmith.face.drawing import find_adapters
    from lorasmith.face.grids import Axes, draw_grid, order_grid, set_fields
    from lorasmith.generation.grids.cost import count_cost, measure_cost
    from lorasmith.generation.spec import PictureSpec
    from lorasmith.pools.choosing import dealt_out

    spec = set_fields(PictureSpec(prompt, negative, seed, steps, cfg, sampler, width, height), settings or [])
    ordered = show(
        order_grid(
            spec,
            [file for given in adapters or [] for file in find_adapters(given)],
            Axes(strengths, x, y, z, control),
            base=base,
            out=out,
            name=name,
            precision=read_precision(precision),
            weights=read_weights(weights),
            skip_unknown=skip_unknown,
        ),
        as_json,
    )
    order, open_pipeline = ordered.order, ordered.open_pipeline
    estimate = show(measure_cost(order, open_pipeline), as_json) if not yes or cost else count_cost(order)
    if cost:
        if as_json:
            print_json({"cost": estimate})
        else:
            say(str(estimate))
            for reason, count in estimate.reasons.items():
                say(f"not drawn ({count} cell{'s' if count > 1 else ''}): {reason}", style="yellow")
        return
    if not as_json:
        say(str(estimate))
        if (
            not yes
            and (estimate.seconds or 0) >= ASKED_FROM
            and sys.stdin.isatty()
            and not typer.confirm("Draw it?", True)
        ):
            return
    with dealt_out(cluster):
        grid, published = show(draw_grid(ordered, title=title, full_size=full_size, embed=embed), as_json)
    cells = [_cell(cell, ordered.paged) for cell in grid.cells]
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

    marked = read_marks(marks)
    folder = grid or find_folder(marked, [GRIDS, Path()], RECORD)
    copies = copy_kept(marked, folder, RECORD, out or folder / "kept")
    if as_json:
        print_json({"grid": folder, "pictures": [{"from": source, "path": target} for source, target in copies]})
        return
    for _, target in copies:
        say(str(target))
    if not copies:
        say("no favourites: star some on the page first.")


def _cell(cell: Any, paged: bool) -> dict[str, Any]:
    x, y, z = (label.replace("\n", " ") for label in (cell.x, cell.y, cell.z))
    shown: dict[str, Any] = {"x": x, "y": y, "z": z if paged else None}
    shown["path" if cell.path else "error"] = cell.path or cell.error
    return shown
