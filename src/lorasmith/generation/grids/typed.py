"""An axis as typed: ``KIND=VALUES``, for example ``strength=0.2..1.0/0.2`` or ``prompt=cat,dog,"big horse"``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from lorasmith.errors import UsageError, did_you_mean
from lorasmith.generation.defaults import random_seed
from lorasmith.generation.grids.axes import (
    CONTROL,
    Axis,
    adapter_axis,
    base_axis,
    block_axis,
    field_axis,
    negative_axis,
    order_axis,
    part_axis,
    prompt_axis,
    size_axis,
    strength_axis,
    swap_axis,
)
from lorasmith.generation.grids.fields import field_names, other_names, read_field
from lorasmith.generation.grids.values import expand_text_ranges, read_numbers, split_values

ARROW = "=>"
_SIZE = re.compile(r"(\d{1,5})\s*[xX×]\s*(\d{1,5})")
# What people call an axis that is called otherwise here, beside the names of forms and A1111's texts.
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "snapshot": "adapter",
        "lora": "adapter",
        "checkpoint": "base",
        "model": "base",
        "words": "prompt",
        "denoising": "hires.denoising",
        "variation": "variation.strength",
    }
)


def read_axis(text: str, control: bool = True) -> Axis:
    """An axis as typed. `control` puts the bare base before the strengths.

    Kinds: strength, te, unet, blocks, adapter (`none` is the bare base), base, prompt (what is searched comes
    first, as in the A1111 grid, and is the first place; or ``SEARCH => a,b``, or ``cat => dog, red => blue``),
    prompts (whole ones), negative, order, size, and every field of the spec. Raises UsageError.
    """
    kind, equals, rest = text.partition("=")
    kind = " ".join(kind.lower().replace("_", " ").split())
    kind = _ALIASES.get(kind) or other_names().get(kind) or kind.replace(" ", "_")
    if not equals or (kind not in _KINDS and kind not in field_names()):
        hint = (did_you_mean(kind, axis_kinds()) if equals else None) or (
            f"Write KIND=VALUES; kinds: {', '.join(axis_kinds())}."
        )
        raise UsageError(f'axis "{text}" is not understood.', hint=hint)
    values = split_values(rest)
    if kind == "strength":
        return strength_axis(read_numbers(kind, values), control)
    if kind in _KINDS:
        return _KINDS[kind](values)
    return field_axis(kind, _chosen(kind, read_field(kind, values)))


def _chosen(kind: str, values: list[Any]) -> list[Any]:
    """Seeds with -1 drawn at random, each its own, as the A1111 grid does (`scripts/xyz_grid.py`, `fix_axis_seeds`)."""
    if kind not in ("seed", "variation.seed"):
        return values
    return [random_seed() if value == -1 else value for value in values]


def axis_kinds() -> tuple[str, ...]:
    """Every kind of axis."""
    return (*_KINDS, *(name for name in field_names() if name not in _KINDS))


def read_size_value(text: str) -> tuple[int, int]:
    """``512x768`` as (width, height). Raises UsageError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f'size "{text}" is not understood.', hint="Write WIDTHxHEIGHT, for example 512x768.")
    return int(match[1]), int(match[2])


def _read_adapters(values: list[str]) -> Axis:
    names = [None if value.lower() in ("none", CONTROL) else value for value in values]
    if "" in names:
        raise UsageError("adapter: an empty value.", hint='"none" is the bare base.')
    return adapter_axis(names)


def _read_swaps(values: list[str]) -> Axis:
    if not values or not values[0]:
        raise UsageError("a prompt axis needs something to search for.", hint='Write: "prompt=cat,dog,horse".')
    if not any(ARROW in value for value in values):
        search = values[0]
        return swap_axis([(search, value) for value in expand_text_ranges("prompt", values)])
    swaps: list[tuple[str, str]] = []
    search = ""
    for value in values:
        before, arrow, after = value.partition(ARROW)
        if arrow:
            search, value = before.strip(), after.strip()
        if not search:
            hint = f'Write: "prompt=cat {ARROW} dog, horse", or "prompt=cat {ARROW} dog, red {ARROW} blue".'
            raise UsageError(f'prompt axis: nothing says what "{value}" takes the place of.', hint=hint)
        swaps += [(search, each) for each in expand_text_ranges("prompt", [value])]
    return swap_axis(swaps)


def _read_prompts(values: list[str]) -> Axis:
    if "" in values:
        raise UsageError("prompts: an empty value.", hint="A prompt with commas stands in quotes.")
    return prompt_axis(values)


def _read_bases(values: list[str]) -> Axis:
    if "" in values:
        raise UsageError("base: an empty value.", hint='"doodle", or a diffusers folder.')
    return base_axis(values)


_KINDS: Mapping[str, Callable[[list[str]], Axis]] = MappingProxyType(
    {
        "strength": lambda values: strength_axis(read_numbers("strength", values)),
        "adapter": _read_adapters,
        "prompt": _read_swaps,
        "prompts": _read_prompts,
        "order": order_axis,
        "negative": negative_axis,
        "base": _read_bases,
        "size": lambda values: size_axis([read_size_value(value) for value in values]),
        "te": lambda values: part_axis("te", read_numbers("te", values)),
        "unet": lambda values: part_axis("unet", read_numbers("unet", values)),
        "blocks": block_axis,
    }
)
