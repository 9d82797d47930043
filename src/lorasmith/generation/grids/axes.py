"""Axes: what stands along the sides of a grid, and what each place on them changes.

An edit takes a draft of a cell and gives the changed draft; edits of the axes follow one another, x first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from lorasmith.errors import PromptError, UsageError
from lorasmith.generation.grids.fields import set_field
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts.dynamic import Expansion

CONTROL = "no adapter"
MOST_ORDERED = 5  # parts of a prompt; 120 orders


@dataclass(frozen=True)
class Draft:
    """A cell on its way: a spec, the base it is drawn on, and the adapter that the axes choose for it.

    `te` and `unet` are the adapter's strengths (both 0: no adapter); `items` are more of its tag, such as
    ``lbw=MIDD``. `swaps` are what gives way to what in the prompt; `origin` is the template that it was made from.
    """

    spec: PictureSpec
    base: str = ""
    adapter: str | None = None
    te: float = 1.0
    unet: float = 1.0
    items: tuple[str, ...] = ()
    swaps: tuple[tuple[str, str], ...] = ()
    origin: Expansion | None = None

    def finished(self) -> PictureSpec:
        """The spec with its words swapped and its adapter called in the prompt. Raises PromptError."""
        spec = self.spec
        if self.swaps:
            spec = _swap(spec, self.swaps)
        if self.adapter is None or (self.te == 0 and self.unet == 0):
            return spec
        strengths = f"{self.te:g}" if self.te == self.unet else f"te={self.te:g}:unet={self.unet:g}"
        tag = f"<lora:{':'.join((self.adapter, strengths, *self.items))}>"
        return replace(spec, prompt=f"{spec.prompt} {tag}".strip())


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

    def __len__(self) -> int:
        return len(self.edits)


#: An axis of one place that changes nothing.
STILL = Axis("", ("",), (lambda draft: draft,))


def strength_axis(strengths: Sequence[float], control: bool = True) -> Axis:
    """The adapter's strength; first, when `control`, the bare base."""
    values = [0.0, *(value for value in strengths if value)] if control else list(strengths)
    labels = tuple(CONTROL if value == 0 else f"strength {value:g}" for value in values)
    return Axis("strength", labels, tuple(_change(te=value, unet=value) for value in values))


def part_axis(part: str, strengths: Sequence[float]) -> Axis:
    """The adapter's strength on one `part` alone: "te", the text encoders, or "unet", the denoiser."""
    word = {"te": "text strength", "unet": "denoiser strength"}[part]
    labels = tuple(f"{word} {value:g}" for value in strengths)
    return Axis(word, labels, tuple(_change(**{part: value}) for value in strengths))


def adapter_axis(names: Sequence[str | None], labels: Sequence[str] | None = None) -> Axis:
    """Which adapter (snapshot) is called; None is the bare base."""
    shown = tuple(labels or [name or CONTROL for name in names])
    return Axis("adapter", shown, tuple(_change(adapter=name) for name in names))


def block_axis(layouts: Sequence[str]) -> Axis:
    """The adapter's block weights, by preset name or as numbers (``lbw=``)."""
    labels = tuple(f"blocks {layout}" for layout in layouts)
    return Axis("blocks", labels, tuple(_change(items=(f"lbw={layout}",)) for layout in layouts))


def base_axis(names: Sequence[str]) -> Axis:
    """Which base is drawn on."""
    labels = [label_base(name) for name in names]
    shown = tuple(names if len(set(labels)) < len(labels) else labels)
    return Axis("base", shown, tuple(_change(base=name) for name in names))


def label_base(name: str) -> str:
    """The last part of a base's name or path."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1]


def field_axis(path: str, values: Sequence[Any], labels: Sequence[str] | None = None) -> Axis:
    """Any field of the spec by its name, `hires.scale` and the like too."""
    word = path.replace("_", " ").replace(".", " ")
    shown = tuple(labels or [f"{word} {value}" for value in values])
    return Axis(word, shown, tuple(_set_field(path, value) for value in values))


def size_axis(sizes: Sequence[tuple[int, int]]) -> Axis:
    """Width and height together, in pixels."""

    def change(width: int, height: int) -> Edit:
        return lambda draft: replace(draft, spec=replace(draft.spec, width=width, height=height))

    labels = tuple(f"{width}x{height}" for width, height in sizes)
    return Axis("size", labels, tuple(change(*size) for size in sizes))


def prompt_axis(prompts: Sequence[str]) -> Axis:
    """A whole prompt in each place."""
    return Axis("prompt", tuple(prompts), tuple(_set_field("prompt", prompt) for prompt in prompts))


def negative_axis(negatives: Sequence[str]) -> Axis:
    """A whole negative prompt in each place."""
    labels = tuple(text or "(no negative prompt)" for text in negatives)
    return Axis("negative prompt", labels, tuple(_set_field("negative", text) for text in negatives))


def swap_axis(swaps: Sequence[tuple[str, str]]) -> Axis:
    """Prompt search-and-replace: each place has what is searched and what takes its place, everywhere.

    What is searched must stand in the prompt or its negative. The swaps of all axes look at the prompt as it was
    written, the longest first, so that one does not take another's words away; what is not found there may stand in
    what was put in.
    """
    labels = tuple(value or "(nothing)" for _, value in swaps)
    if len({search for search, _ in swaps}) > 1:
        labels = tuple(f"{search} → {value or '(nothing)'}" for search, value in swaps)

    def add(swap: tuple[str, str]) -> Edit:
        return lambda draft: replace(draft, swaps=(*draft.swaps, swap))

    return Axis("words", labels, tuple(add(swap) for swap in swaps))


def order_axis(parts: Sequence[str]) -> Axis:
    """Every order of some parts of the prompt; they trade the places where they first stand."""
    if not 2 <= len(parts) <= MOST_ORDERED or len(set(parts)) < len(parts) or not all(parts):
        raise UsageError(f"an order axis needs 2 to {MOST_ORDERED} different parts of the prompt, not {len(parts)}.")
    orders = list(permutations(parts))
    return Axis("order", tuple(", ".join(order) for order in orders), tuple(_set_order(order) for order in orders))


def _change(**values: Any) -> Edit:
    return lambda draft: replace(draft, **values)


def _set_field(path: str, value: Any) -> Edit:
    return lambda draft: replace(draft, spec=set_field(draft.spec, path, value))


def _set_order(order: Sequence[str]) -> Edit:
    def edit(draft: Draft) -> Draft:
        prompt = draft.spec.prompt
        places: list[int] = []
        # The longest first, each out of the others' way: "hat" is not looked for inside "red hat".
        rest = prompt
        for part in sorted(order, key=len, reverse=True):
            at = rest.find(part)
            if at < 0:
                raise PromptError(f'"{part}" is not in the prompt.', where="grid")
            rest = rest[:at] + "\0" * len(part) + rest[at + len(part) :]
            places.append(at)
        by_place = sorted(zip(places, sorted(order, key=len, reverse=True), strict=True))
        pieces, position = [], 0
        for (at, old), new in zip(by_place, order, strict=True):
            pieces += [prompt[position:at], new]
            position = at + len(old)
        return replace(draft, spec=replace(draft.spec, prompt="".join([*pieces, prompt[position:]])))

    return edit


def _swap(spec: PictureSpec, swaps: Sequence[tuple[str, str]]) -> PictureSpec:
    first = dict(swaps)
    wanted = sorted((search for search in first if search), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, wanted)) or r"(?!)")
    found: set[str] = set()

    def put(match: re.Match[str]) -> str:
        found.add(match[0])
        return first[match[0]]

    prompt, negative = pattern.sub(put, spec.prompt), pattern.sub(put, spec.negative)
    for search, value in swaps:
        if search in found:
            continue
        if not search or (search not in prompt and search not in negative):
            raise PromptError(f'"{search}" is neither in the prompt nor in the negative prompt.', where="grid")
        prompt, negative = prompt.replace(search, value), negative.replace(search, value)
    return replace(spec, prompt=prompt, negative=negative)
