"""Adapters inside the base's weights: sums for all rows alike, and for blocks of rows with weights of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.bases.pointwise import is_pointwise


@dataclass(frozen=True, eq=False)
class MergedRows:
    """A layer's merged weights and biases for n blocks of equally many rows, one after another: (n, i, o) and
    (n, 1, o) of a linear layer; of a 1x1 convolution, where every row is a block, (n, o, i) and (n, o, 1)."""

    weights: Tensor
    biases: Tensor | None
    spatial: bool

    def run(self, x: Tensor) -> Tensor:
        """The layer for x (B, ..., i), B a multiple of n; of a convolution (n, i, H, W)."""
        n = self.weights.shape[0]
        if self.spatial:
            return self._sum(self.weights, x.reshape(n, x.shape[1], -1)).view(n, -1, *x.shape[2:])
        return self._sum(x.reshape(n, -1, x.shape[-1]), self.weights).view(*x.shape[:-1], -1)

    def _sum(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.bmm(left, right) if self.biases is None else torch.baddbmm(self.biases, left, right)


@dataclass(frozen=True, eq=False)
class KeptRows:
    """The merged weights of layers by name, and whose they are: of each block the adapters that act, and how much."""

    acting: tuple[tuple[tuple[object, float], ...], ...]
    length: int
    blocks: Mapping[str, MergedRows]

    def changed(self, acting: Sequence[tuple[tuple[object, float], ...]], length: int) -> tuple[int, ...] | None:
        """The blocks that other adapters want made anew; None for all, where there are more, fewer or longer ones."""
        if length != self.length or len(acting) != len(self.acting):
            return None
        pairs = enumerate(zip(self.acting, acting, strict=True))
        return tuple(block for block, (before, now) in pairs if before != now)


class Place(Protocol):
    """Where a weight or a bias of the base stands."""

    data: Any


@dataclass(frozen=True, eq=False)
class Merged:
    """New values for some of the base's weights and biases: the place of each, and its value.

    `loss`: the part of the wanted change that got lost when the weights were rounded, as a share of its norm; 0 in
    fp32. A change that is small beside a weight in half precision is rounded away.
    """

    weights: tuple[tuple[Place, Tensor], ...]
    loss: float = 0.0

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The base with the new values; on exit it is as before, bit for bit, and at no cost."""
        untouched = [(place, place.data) for place, _ in self.weights]
        try:
            for place, value in self.weights:
                place.data = value
            yield
        finally:
            # NOTE: the old storage was never written to, so that putting it back is exact and costs nothing.
            for place, old in untouched:
                place.data = old


def acting_factors(factors: Mapping[int, LayerFactors], strengths: Sequence[float]) -> list[tuple[LayerFactors, float]]:
    """The factors of the adapters whose strength, in one row of S, is not 0; and that strength."""
    return [(each, strengths[k]) for k, each in factors.items() if strengths[k] != 0.0]


def add_deltas(weight: Tensor, acting: Sequence[tuple[LayerFactors, float]], spare: Tensor | None) -> Tensor:
    """The weight plus strength x delta of each, in fp32."""
    fits = spare is not None and spare.dtype == torch.float32 and spare.shape == weight.shape
    total = spare if fits and spare is not None else torch.empty(weight.shape, device=weight.device)
    _sum_up(total, weight, acting)
    return total


def _sum_up(total: Tensor, weight: Tensor, acting: Sequence[tuple[LayerFactors, float]]) -> None:
    """Write the weight plus strength x delta of each into `total`, fp32."""
    total.copy_(weight)
    for factors, strength in acting:
        factors.add_to(total, weight, strength)


def add_shifts(bias: Tensor | None, acting: Sequence[tuple[LayerFactors, float]]) -> Tensor | None:
    """The bias plus strength x shift of each; the bias itself when nobody moves it. A layer without one gets the
    shifts."""
    shifts = [(shift, strength) for factors, strength in acting if (shift := factors.delta_bias()) is not None]
    if not shifts:
        return bias
    moved = torch.zeros_like(shifts[0][0]) if bias is None else bias.float()
    for shift, strength in shifts:
        moved = moved.add(shift, alpha=strength)
    return moved if bias is None else moved.to(bias.dtype)


class MissingBias:
    """The place of a bias in a layer that has none."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    @property
    def data(self) -> Tensor | None:
        return cast(Tensor | None, self._layer.bias)

    @data.setter
    def data(self, value: Tensor | None) -> None:
        self._layer.bias = None if value is None else nn.Parameter(value, requires_grad=False)


def block_length(S: Tensor) -> int:
    """The largest number of rows into which all runs of equal rows of S can be cut."""
    changes = (S[1:] != S[:-1]).any(dim=1).nonzero().flatten() + 1
    return math.gcd(S.shape[0], *changes.tolist())


def is_product(layer: nn.Module) -> bool:
    """Whether the layer is one matrix product at every token or pixel."""
    return type(layer) is nn.Linear or is_pointwise(layer)


def frozen_weight(layer: nn.Module) -> Tensor:
    """The weight of a target layer."""
    return cast(Tensor, layer.weight)


def merge_rows(
    layer: nn.Module,
    factors: Mapping[int, LayerFactors],
    rows: Sequence[Sequence[float]],
    length: int,
    over: MergedRows | None = None,
    stale: Sequence[int] | None = None,
) -> MergedRows:
    """The layer's weights for blocks of `length` rows with these strengths. With what was made before and must not be
    used any more (`over`) only the `stale` blocks are made anew, in their place."""
    weight, bias = frozen_weight(layer), cast(Tensor | None, layer.bias)
    spatial = isinstance(layer, nn.Conv2d)
    copies = length if spatial else 1
    if over is None or stale is None:
        over, stale = None, range(len(rows))
        totals = torch.empty(len(rows) * copies, *weight.shape, device=weight.device)
    else:
        totals = over.weights.view(-1, *weight.shape) if spatial else over.weights.transpose(1, 2)
    biases = None if over is None else over.biases
    for block in stale:
        acting = acting_factors(factors, rows[block])
        mine = slice(block * copies, (block + 1) * copies)
        _sum_up(totals[mine.start], weight, acting)
        if copies > 1:
            totals[mine.start + 1 : mine.stop] = totals[mine.start]
        moved = add_shifts(bias, acting)
        if biases is None and moved is not None:
            biases = torch.zeros(len(totals), *((len(moved), 1) if spatial else (1, len(moved))), device=weight.device)
        if biases is not None:
            biases[mine] = 0.0 if moved is None else moved.view(biases.shape[1:])
    return (
        over
        if over is not None and biases is over.biases
        else MergedRows(totals.flatten(2) if spatial else totals.transpose(1, 2), biases, spatial)
    )
