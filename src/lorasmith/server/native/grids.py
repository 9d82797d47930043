"""Grids by HTTP: axes in words, each distinct cell a picture, and the sheet once all cells are drawn.

What stands where is in the job's detail: for every place (x runs fastest, then y, then z) the number of its picture,
or the reason why there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lorasmith.errors import LorasmithError, RefusedError
from lorasmith.generation.spec import PictureSpec
from lorasmith.server.errors import FieldError

if TYPE_CHECKING:
    from lorasmith.generation.grids.axes import Axis
    from lorasmith.server.service import Service


@dataclass(frozen=True)
class GridPlan:
    """The distinct pictures of a grid, and what stands where."""

    specs: tuple[PictureSpec, ...]
    detail: dict[str, Any]


def plan_grid(
    service: Service, spec: PictureSpec, x: str, y: str | None, z: str | None, adapter: str | None, control: bool
) -> GridPlan:
    """Vary a picture along axes as typed (``strength=0.4,0.8``, ``seed=1,2``). A place that cannot be drawn says why.

    `adapter` is the one that a strength axis acts on; `control` puts the bare base before the strengths. Raises
    FieldError for an axis that is not understood or too many cells, RefusedError for a refused prompt.
    """
    from lorasmith.generation.grids.axes import STILL, Draft

    axes = [_read(name, text, control) if text else STILL for name, text in (("x", x), ("y", y), ("z", z))]
    count = len(axes[0]) * len(axes[1]) * len(axes[2])
    service.admission.check_cells(count, "x")
    if adapter is not None:
        service.admission.check_adapters(adapter)
    start = Draft(spec, str(spec.base), adapter)
    specs: dict[PictureSpec, int] = {}
    places: list[int | str] = []
    for deep in axes[2].edits:
        for down in axes[1].edits:
            for across in axes[0].edits:
                try:
                    draft = deep(down(across(start)))
                    cell = service.admission.check(replace(draft.finished(), base=draft.base))
                    places.append(specs.setdefault(cell, len(specs)))
                except RefusedError:
                    raise
                except LorasmithError as fault:
                    places.append(str(fault))
    if not specs:
        raise FieldError(f"no cell can be drawn: {places[0]}", where="x")
    labels = {name: list(axis.labels) for name, axis in zip("xyz", axes, strict=True)}
    return GridPlan(tuple(specs), {"axes": labels, "places": places, "sheets": []})


def _read(name: str, text: str, control: bool) -> Axis:
    from lorasmith.generation.grids.typed import read_axis

    try:
        return read_axis(text, control)
    except LorasmithError as error:
        raise FieldError(error.message, where=name, hint=error.hint) from None
