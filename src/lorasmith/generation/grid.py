"""Grids (C1): one request varied along two axes, every cell drawn through one bank in batches.

The axes that matter most are snapshots and strengths, with a column without any adapter as control.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from lorasmith.errors import LorasmithError, PromptError, RefusedError, UsageError, did_you_mean
from lorasmith.events import Work
from lorasmith.generation.pictures import Picture
from lorasmith.generation.request import Request
from lorasmith.generation.sheets import draw_sheet
from lorasmith.generation.studio import Studio

CONTROL = "no adapter"


@dataclass(frozen=True)
class Draft:
    """A cell on its way: a request, and the adapter that the axes choose for it; strength 0 means none."""

    request: Request
    adapter: str | None = None
    strength: float = 1.0

    def finished(self) -> Request:
        """The request with its adapter called in the prompt."""
        if self.adapter is None or self.strength == 0:
            return self.request
        tag = f"<lora:{self.adapter}:{self.strength:g}>"
        return replace(self.request, prompt=f"{self.request.prompt} {tag}".strip())


Edit = Callable[[Draft], Draft]


@dataclass(frozen=True)
class Axis:
    """Values along one side: a label for each and what it changes. An edit may raise; its cells then say why."""

    title: str
    labels: tuple[str, ...]
    edits: tuple[Edit, ...]

    def __post_init__(self) -> None:
        if not self.edits or len(self.edits) != len(self.labels):
            raise UsageError(f'axis "{self.title}" has no values.')


@dataclass(frozen=True)
class Cell:
    """One cell: its labels, and its picture or the reason why there is none."""

    x: str
    y: str
    picture: Picture | None
    error: str | None


@dataclass(frozen=True)
class Grid:
    """The drawn sheet and its cells, row by row."""

    image: Image.Image
    cells: tuple[Cell, ...]
    columns: int


def strength_axis(strengths: Sequence[float], control: bool = True) -> Axis:
    """The adapter's strength; first, when `control`, the bare base."""
    values = [0.0, *strengths] if control else list(strengths)
    labels = [CONTROL if control and index == 0 else f"strength {value:g}" for index, value in enumerate(values)]
    return Axis("strength", tuple(labels), tuple(_set_strength(value) for value in values))


def adapter_axis(names: Sequence[str], labels: Sequence[str] | None = None) -> Axis:
    """Which adapter (snapshot) is called."""
    return Axis("adapter", tuple(labels or names), tuple(_set_adapter(name) for name in names))


def request_axis(field: str, values: Sequence[Any]) -> Axis:
    """Any field of the request: seed, cfg, steps, sampler, clip_skip, negative, prompt, width, height."""
    labels = tuple(f"{field.replace('_', ' ')} {value}" for value in values)
    return Axis(field, labels, tuple(_set_field(field, value) for value in values))


def replacement_axis(search: str, replacements: Sequence[str]) -> Axis:
    """Prompt search-and-replace: `search` must stand in the prompt or its negative, and gives way everywhere."""
    labels = tuple(value or "(nothing)" for value in replacements)
    return Axis("prompt", labels, tuple(_replace_text(search, value) for value in replacements))


def read_axis(text: str) -> Axis:
    """An axis as typed: ``strength=0.6,0.8``, ``seed=1,2``, ``sampler=DDIM,Euler a``, ``prompt=cat,dog`` ...

    Values are comma-separated, with quotes where they hold commas. As in the A1111 grid, the first value of a
    prompt axis is what is searched and the first column. Raises UsageError.
    """
    kind, equals, rest = text.partition("=")
    kind = kind.strip().lower()
    kinds = ("strength", "adapter", "prompt", *_FIELDS)
    if not equals or kind not in kinds:
        hint = (did_you_mean(kind, kinds) if equals else None) or f"Write KIND=VALUES; kinds: {', '.join(kinds)}."
        raise UsageError(f'axis "{text}" is not understood.', hint=hint)
    values = [value.strip() for value in next(csv.reader([rest], skipinitialspace=True), [])]
    if kind == "strength":
        return strength_axis([_read_number(kind, value) for value in values])
    if kind == "adapter":
        return adapter_axis(values)
    if kind == "prompt":
        if not values or not values[0]:
            raise UsageError("a prompt axis needs something to search for.", hint='Write: "prompt=cat,dog,horse".')
        return replacement_axis(values[0], values)
    return request_axis(kind, [_FIELDS[kind](kind, value) for value in values])


def draw_grid(
    studio: Studio, request: Request, x: Axis, y: Axis, adapter: str | None = None, title: str | None = None
) -> Work[Grid]:
    """Draw every cell, equal ones (the control column) once. A failing cell says why, the others are drawn.

    `adapter` is the one that a strength axis acts on when no axis names adapters. A refused prompt refuses all.
    """
    places = [(i, j) for j in range(len(y.edits)) for i in range(len(x.edits))]
    wanted: dict[Request, list[int]] = {}
    errors: dict[int, str] = {}
    for place, (i, j) in enumerate(places):
        try:
            final = y.edits[j](x.edits[i](Draft(request, adapter))).finished()
            if final not in wanted:
                studio.check(final)
            wanted.setdefault(final, []).append(place)
        except RefusedError:
            raise
        except LorasmithError as fault:
            errors[place] = str(fault)
    drawn = yield from studio.draw(list(wanted))
    pictures = {place: picture for picture, equals in zip(drawn, wanted.values(), strict=True) for place in equals}
    cells = tuple(
        Cell(x.labels[i], y.labels[j], pictures.get(place), errors.get(place)) for place, (i, j) in enumerate(places)
    )
    across = len(x.edits)
    shown = [
        [cell.picture.image if cell.picture else cell.error or "" for cell in cells[start : start + across]]
        for start in range(0, len(cells), across)
    ]
    heading = request.prompt if title is None else title
    return Grid(draw_sheet(shown, x.labels, y.labels, heading), cells, across)


def _set_strength(value: float) -> Edit:
    return lambda draft: replace(draft, strength=value)


def _set_adapter(name: str) -> Edit:
    return lambda draft: replace(draft, adapter=name)


def _set_field(field: str, value: Any) -> Edit:
    return lambda draft: replace(draft, request=replace(draft.request, **{field: value}))


def _replace_text(search: str, value: str) -> Edit:
    def edit(draft: Draft) -> Draft:
        request = draft.request
        if search not in request.prompt and search not in request.negative:
            raise PromptError(f'"{search}" is neither in the prompt nor in the negative prompt.', where="grid")
        return replace(
            draft,
            request=replace(
                request,
                prompt=request.prompt.replace(search, value),
                negative=request.negative.replace(search, value),
            ),
        )

    return edit


def _read_number(kind: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f'{kind} "{text}" is not a number.')
    return value


def _read_whole(kind: str, text: str) -> int:
    value = _read_number(kind, text)
    if value != int(value):
        raise UsageError(f'{kind} "{text}" is not a whole number.')
    return int(value)


def _read_text(kind: str, text: str) -> str:
    if not text:
        raise UsageError(f"{kind}: an empty value.")
    return text


_FIELDS: dict[str, Callable[[str, str], Any]] = {
    "seed": _read_whole,
    "steps": _read_whole,
    "cfg": _read_number,
    "clip_skip": _read_whole,
    "sampler": _read_text,
}


def snapshot_grid(
    studio: Studio, request: Request, snapshots: Sequence[str], strengths: Iterable[float], title: str | None = None
) -> Work[Grid]:
    """Snapshots down, strengths across, the bare base first (C1, C3)."""
    return (yield from draw_grid(studio, request, strength_axis(list(strengths)), adapter_axis(snapshots), title=title))
