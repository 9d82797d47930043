"""Grids of pictures: what stands where, in which folder, and how it is drawn and written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.adapters.catalogue import name_files
from lorasmith.errors import AdapterError, UsageError
from lorasmith.events import Work
from lorasmith.face.drawing import Pipelines, base_of, find_adapters, make_spec
from lorasmith.face.watching import See, run
from lorasmith.project import EMBEDDED, safe_name
from lorasmith.remedies import Give, Sentence

if TYPE_CHECKING:
    from lorasmith.bases.precision import Precision, Weights
    from lorasmith.generation.grids.drawing import Cell, Grid, Order
    from lorasmith.generation.grids.publishing import Published
    from lorasmith.generation.grids.workers import OpenPipeline
    from lorasmith.generation.spec import PictureSpec

DEFAULT_STRENGTHS = "0.6,0.8,1.0"
GRIDS = Path("grids")


@dataclass(frozen=True)
class Axes:
    """What varies, as it is written: columns `x` ("seed=1-5"; `strengths` when None), rows `y` (the adapters when
    None), pages `z`. `control` puts the bare base before strengths."""

    strengths: str = DEFAULT_STRENGTHS
    x: str | None = None
    y: str | None = None
    z: str | None = None
    control: bool = True


@dataclass(frozen=True)
class OrderedGrid:
    """A grid before it is drawn: what is missing of it, where it goes, and whether its cells are on several pages."""

    order: Order
    open_pipeline: OpenPipeline
    paged: bool


def order_grid(
    spec: PictureSpec,
    files: Sequence[Path],
    axes: Axes,
    *,
    base: str | None = None,
    out: Path = GRIDS,
    name: str | None = None,
    precision: Precision = "auto",
    weights: Weights = "full",
    skip_unknown: bool = False,
) -> Work[OrderedGrid]:
    """Check every cell, and find what has been drawn before; nothing is drawn. The same call finds the same folder.

    `base` is that of the last adapter's project when None; `name` is the folder's in `out`, made of the prompt when
    None. Raises UsageError, PromptError, RefusedError.
    """
    from lorasmith.generation.grids.axes import STILL, adapter_axis
    from lorasmith.generation.grids.drawing import take_order
    from lorasmith.generation.grids.folders import find_identity
    from lorasmith.generation.grids.publishing import RECORD
    from lorasmith.generation.grids.typed import read_axis

    files = list(dict.fromkeys(files))
    names = name_files(files)
    if not files and axes.x is None:
        remedy = Sentence(Give("x", "seed=1-5"), ".")
        raise UsageError(
            "a grid needs adapters, or an axis.", hint="Name a project or a file, or give an axis:", remedy=remedy
        )
    columns = read_axis(axes.x or f"strength={axes.strengths}", axes.control)
    by_adapter = adapter_axis(names, _label_all(files, names)) if files else STILL
    rows = read_axis(axes.y, axes.control) if axes.y else by_adapter
    pages = read_axis(axes.z, axes.control) if axes.z else STILL
    if axes.y and not axes.z and len(names) > 1 and "adapter" not in (columns.title, rows.title):
        pages = by_adapter
    where = base or (base_of(files[-1]) if files else EMBEDDED)
    facts = [spec.as_json(), (axes.x or axes.strengths, axes.y, axes.z, *map(str, files), where)]
    check_folder_name(name)
    folder = out / (name or name_folder(spec.prompt, facts, "grid"))
    find_identity(folder, RECORD)
    open_pipeline = Pipelines(files, precision, weights, skip_unknown)
    last = names[-1] if names else None
    order = yield from take_order(spec, columns, rows, open_pipeline, folder, z=pages, adapter=last, base=where)
    return OrderedGrid(order, open_pipeline, len(pages) > 1 or axes.z is not None)


def draw_grid(
    ordered: OrderedGrid, *, title: str | None = None, full_size: bool = False, embed: bool = False
) -> Work[tuple[Grid, Published]]:
    """Draw what is missing, and write the sheet and the page; nothing is drawn twice. Raises StorageError, also where
    another process draws into the folder."""
    from lorasmith.generation.grids.drawing import draw_order
    from lorasmith.generation.grids.folders import working_in
    from lorasmith.generation.grids.publishing import RECORD, publish

    with working_in(ordered.order.folder, RECORD):
        grid = yield from draw_order(ordered.order, ordered.open_pipeline)
        published = yield from publish(grid, title=title, full_size=full_size, embed=embed)
    return grid, published


@dataclass(frozen=True)
class DrawnGrid:
    """A grid that was drawn: `sheets` are its pictures, `page` is one to look closely, and `cells` have each their
    labels and a path, or an error."""

    sheets: tuple[Path, ...]
    page: Path
    cells: tuple[Cell, ...]


def grid(
    prompt: str,
    adapters: Sequence[Path | str] = (),
    *,
    strengths: str = DEFAULT_STRENGTHS,
    x: str | None = None,
    y: str | None = None,
    z: str | None = None,
    control: bool = True,
    base: str | None = None,
    seed: int = 0,
    out: Path | str = GRIDS,
    name: str | None = None,
    title: str | None = None,
    see: See | None = None,
    **values: Any,
) -> DrawnGrid:
    """Draw a grid: adapters (files, runs or projects) by strengths, or any axis by any other.

    Axes are written as ``"seed=1-5"``, ``"sampler=DDIM,Euler a"``, ``"prompt=red,blue"``; `z` makes pages. `values` are
    the pictures' other fields. The same call goes on where it was stopped. Raises UsageError, PromptError.

        drawn = lorasmith.grid("1girl, smile", x="seed=1-4", y="cfg=1.5,3")
        print(drawn.sheets[0], drawn.page)
    """
    files = [file for given in adapters for file in find_adapters(Path(given).expanduser())]
    spec, axes = make_spec(prompt, seed, values), Axes(strengths, x, y, z, control)
    ordered = run(order_grid(spec, files, axes, base=base, out=Path(out).expanduser(), name=name), see)
    drawn, published = run(draw_grid(ordered, title=title), see)
    return DrawnGrid(published.sheets, published.page, tuple(drawn.cells))


def set_fields(spec: PictureSpec, settings: Sequence[str]) -> PictureSpec:
    """The picture with other fields, each written ``hires.scale=2``. Raises UsageError."""
    from lorasmith.generation.grids.fields import read_field, set_field

    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f'"{setting}" is not understood.', field="set", hint="Write FIELD=VALUE: hires.scale=2.")
        values = read_field(field.strip(), [value.strip()])
        if len(values) != 1:
            remedy = Sentence(Give("y"), ".")
            raise UsageError(
                f'"{setting}" gives {len(values)} values.', field="set", hint="Make it an axis:", remedy=remedy
            )
        spec = set_field(spec, field.strip(), values[0])
    return spec


def check_folder_name(name: str | None) -> None:
    """Raise UsageError where a folder's name says more than a name."""
    if name and Path(name).name != name:
        remedy = Sentence(Give("out"), ".")
        raise UsageError(
            f'"{name}" is not a folder\'s name.', field="name", hint="Say where it goes with", remedy=remedy
        )


def name_folder(text: str, facts: Sequence[object], otherwise: str) -> str:
    """A name for the folder that the same call gives again: of `text`, or `otherwise`, with a hash of `told`."""
    document = json.dumps(facts, sort_keys=True, default=str)
    digest = hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{safe_name(text)[:32].rstrip('._-') or otherwise}-{digest[:6]}"


def _label_all(files: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Names with the step that a snapshot was saved at, where its file tells."""
    from lorasmith.adapters.container import read_header

    labels = []
    for file, name in zip(files, names, strict=True):
        try:
            facts: dict[str, Any] = dict(read_header(file).metadata)
        except AdapterError:  # its cells say what is wrong with it
            facts = {}
        steps = facts.get("ss_steps", "")
        labels.append(f"{name}\nstep {steps}" if len(files) > 1 and steps.isdigit() else name)
    return labels
