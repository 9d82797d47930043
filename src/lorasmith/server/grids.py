"""Grids by HTTP: axes in words, each distinct cell an order, and the sheet once all cells are drawn.

What stands where is in the job's detail: for every place (x runs fastest, then y, then z) the number of its picture,
or the reason why there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lorasmith.errors import LorasmithError, RefusedError
from lorasmith.server.bases import find_base
from lorasmith.server.errors import FieldError
from lorasmith.server.orders import Hires, Order, Variation

if TYPE_CHECKING:
    from lorasmith.generation.grids.axes import Axis
    from lorasmith.generation.spec import PictureSpec
    from lorasmith.server.service import Service


@dataclass(frozen=True)
class GridPlan:
    """The distinct orders of a grid, and what stands where."""

    orders: tuple[Order, ...]
    detail: dict[str, Any]


def plan_grid(
    service: Service, order: Order, x: str, y: str | None, z: str | None, adapter: str | None, control: bool
) -> GridPlan:
    """Vary an order along axes as typed (``strength=0.4,0.8``, ``seed=1,2``). A place that cannot be drawn says why.

    `adapter` is the one that a strength axis acts on; `control` puts the bare base before the strengths. Raises
    FieldError for an axis that is not understood or too many cells, RefusedError for a refused prompt.
    """
    from lorasmith.generation.grids.axes import STILL, Draft

    axes = [_read(name, text, control) if text else STILL for name, text in (("x", x), ("y", y), ("z", z))]
    count = len(axes[0]) * len(axes[1]) * len(axes[2])
    service.admission.check_cells(count, "x")
    if adapter is not None:
        service.admission.check_adapters(adapter)
    start = Draft(_request(order), order.base, adapter)
    orders: dict[Order, int] = {}
    places: list[int | str] = []
    for deep in axes[2].edits:
        for down in axes[1].edits:
            for across in axes[0].edits:
                try:
                    draft = deep(down(across(start)))
                    cell = _order(draft.finished(), order, find_base(service.bases, draft.base).name)
                    service.admission.check_order(cell)
                    places.append(orders.setdefault(cell, len(orders)))
                except RefusedError:
                    raise
                except LorasmithError as fault:
                    places.append(str(fault))
                except ValidationError as fault:
                    first = fault.errors()[0]
                    places.append(f"{'.'.join(map(str, first['loc']))} = {first['input']}: {first['msg']}.")
    if not orders:
        raise FieldError(f"no cell can be drawn: {places[0]}", where="x")
    told = {name: list(axis.labels) for name, axis in zip("xyz", axes, strict=True)}
    return GridPlan(tuple(orders), {"axes": told, "places": places, "sheets": []})


def _read(name: str, text: str, control: bool) -> Axis:
    from lorasmith.generation.grids.typed import read_axis

    try:
        return read_axis(text, control)
    except LorasmithError as error:
        raise FieldError(error.message, where=name, hint=error.hint) from None


def _request(order: Order) -> PictureSpec:
    """The order as axes change it; the picture that it starts from stays outside."""
    from pathlib import Path

    from lorasmith.server.engine import request_of

    return request_of(order.model_copy(update={"start": None}), lambda name: Path(name))


def _order(request: PictureSpec, like: Order, base: str) -> Order:
    variation, hires = request.variation, request.hires
    return Order(
        prompt=request.prompt,
        negative=request.negative,
        seed=request.seed,
        steps=request.steps,
        cfg=request.cfg,
        sampler=request.sampler,
        schedule=request.schedule,
        width=request.width,
        height=request.height,
        clip_skip=request.clip_skip,
        emphasis=request.emphasis,
        compat=request.compat,
        tiling=request.tiling,
        eta=request.eta,
        variation=None if variation is None else Variation(seed=variation.seed, strength=variation.strength),
        hires=None
        if hires is None
        else Hires(
            scale=hires.scale,
            width=hires.width,
            height=hires.height,
            steps=hires.steps or 0,
            denoising=hires.denoising,
            upscaler=hires.upscaler,
            prompt=hires.prompt or "",
            negative=hires.negative or "",
        ),
        start=like.start,
        base=base,
    )
