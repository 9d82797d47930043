"""Layers that some tools keep in one, under each other: what a file has for the one becomes what each has.

A row of the weight is an output: what speaks of outputs is cut into parts of equal size, what speaks of inputs is
every part's. Shapes: o and i outputs and inputs of a part, n how many parts, r the rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from lorasmith.bases.families import FAMILIES, find_family
from lorasmith.errors import AdapterError

if TYPE_CHECKING:
    from torch import Tensor

_DOWN, _UP, _ALPHA, _DORA = "lora_down.weight", "lora_up.weight", "alpha", "dora_scale"
_OUTPUTS = frozenset((_UP, _DORA, "hada_w1_a", "hada_w2_a", "diff", "diff_b", "b1.weight", "weight"))
_LOKR = ("lokr_w1_a", "lokr_w1")  # the whole's rows are cut where those of its first factor are
_SHARED = frozenset((_DOWN, _ALPHA, "hada_w1_b", "hada_w2_b", "a1.weight", "a2.weight", "b2.weight"))
_LOKR_SHARED = frozenset(("lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b"))


def parts_of(name: str) -> tuple[str, ...]:
    """The names of the layers that a fused one stands for; none for any other."""
    return next(
        (
            tuple(f"{name.removesuffix(end)}{part}" for part in parts)
            for end, parts in _fused(tuple(FAMILIES)).items()
            if name.endswith(end)
        ),
        (),
    )


@cache
def _fused(families: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {f"_{end}": parts for name in families for end, parts in _with_starts(find_family(name).fused).items()}


def _with_starts(fused: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    return {end: tuple(f"_{part}" for part in parts) for end, parts in fused.items()}


def split(name: str, tensors: Mapping[str, Tensor], where: object) -> dict[str, dict[str, Tensor]]:
    """The tensors of a fused layer by the names of its parts. Raises AdapterError for what cannot be cut exactly."""
    parts = parts_of(name)
    rows = _cut_rows(name, tensors, len(parts), where)
    ranks = _own_ranks(tensors, rows, len(parts))
    found = {}
    for at, part in enumerate(parts):
        own = {suffix: pieces[at] for suffix, pieces in rows.items()}
        own |= {suffix: tensor for suffix, tensor in tensors.items() if suffix not in rows}
        if ranks:
            span = slice(at * ranks, (at + 1) * ranks)
            own |= {_UP: own[_UP][:, span].contiguous(), _DOWN: own[_DOWN][span].contiguous()}
            own |= {_ALPHA: own[_ALPHA] / len(parts)} if _ALPHA in own else {}
        found[part] = own
    return found


def _cut_rows(name: str, tensors: Mapping[str, Tensor], count: int, where: object) -> dict[str, Sequence[Tensor]]:
    """What speaks of outputs, cut."""
    first = next((each for each in _LOKR if each in tensors), "")
    cut = _OUTPUTS | {first}
    known = cut | _SHARED | _LOKR_SHARED
    on_input = "on_input" in tensors and bool(tensors["on_input"])
    on_input |= _DORA in tensors and tensors[_DORA].shape[:1] == (1,)
    rows = {suffix: tensor for suffix, tensor in tensors.items() if suffix in cut}
    wrong = sorted(tensors.keys() - known - {"on_input"})
    if wrong or on_input or any(not each.ndim or each.shape[0] % count for each in rows.values()):
        raise AdapterError(
            f"{name} is for {count} layers in one, and what it has ({', '.join(sorted(tensors))}) cannot be cut into "
            "theirs.",
            where=where,
            hint="Take a file whose layers are apart, as its trainer wrote it.",
        )
    return {suffix: [piece.contiguous() for piece in tensor.chunk(count)] for suffix, tensor in rows.items()}


def _own_ranks(tensors: Mapping[str, Tensor], rows: Mapping[str, Sequence[Tensor]], count: int) -> int:
    """How many ranks each part has of its own, as where parts were joined (musubi-tuner's
    `convert_z_image_lora_to_comfy.py`): only they reach it. 0: all are
    every part's."""
    if tensors.keys() - {_DOWN, _UP, _ALPHA} or not tensors.keys() >= {_DOWN, _UP}:
        return 0
    ranks, left = divmod(tensors[_DOWN].shape[0], count)
    if left or tensors[_DOWN].ndim != 2 or not ranks:
        return 0
    for at, up in enumerate(rows[_UP]):
        others = up.clone()
        others[:, at * ranks : (at + 1) * ranks] = 0
        if bool(others.any()):
            return 0
    return ranks
