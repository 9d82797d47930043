"""Changes of layers as products of two thin matrices, and the best products of a smaller rank. With errors stated.

Every change of a layer is written as up @ down, exactly where the algorithm allows it; a smaller rank then comes from
two thin QR decompositions and an SVD of their small cores: the same as the full SVD, without ever building the full
matrix. Shapes: o and n the sides of a layer's weight as a matrix, R the rank before, r after.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.bases.base import Base
from lorasmith.errors import AdapterError

CONVOLUTIONS = ("_conv1", "_conv2", "_samplers_0_conv", "_in_layers_2", "_out_layers_3", "_op", "_2_conv", "_1_conv")


@dataclass(frozen=True)
class Cut:
    """How far to shorten: to `rank` at most; no further than the share `keep` of the squared norm asks for (kohya's
    sv_fro is its root); singular values smaller than the largest / `ratio` go (kohya's sv_ratio)."""

    rank: int | None = None
    keep: float = 1.0
    ratio: float | None = None


WHOLE = Cut()


@dataclass(frozen=True, eq=False)
class Product:
    """A change of a layer as up (o, R) @ down (R, n); `shape` is the weight's."""

    up: Tensor
    down: Tensor
    shape: tuple[int, ...]


def as_product(factors: LayerFactors, name: str, base: Base | None = None, where: str = "") -> Product:
    """The change of a layer at strength 1 as a product. Raises AdapterError when it is none."""
    if factors.on_norms or factors.delta_bias() is not None:
        raise AdapterError(
            f"{name} changes a norm or a bias, which a LoRA cannot hold.", where=where, hint="Keep the file as it is."
        )
    weight = None if base is None else cast(nn.Linear, base.module(name)).weight.detach()
    if weight is None and factors.proportional:
        raise AdapterError(
            f"{name} is a {factors.algorithm}, which acts in proportion to the base's weights.",
            where=where,
            hint="Name the base that it was made for.",
        )
    shape = _shape(factors, name) if weight is None else tuple(weight.shape)
    return Product(*factors.as_product(shape, weight), shape)


def shorten(up: Tensor, down: Tensor, cut: Cut) -> tuple[Tensor, Tensor, float, float]:
    """The best product of the rank that `cut` allows, balanced; the norms of what is lost and of all there was."""
    Q_up, R_up = torch.linalg.qr(up.float())
    Q_down, R_down = torch.linalg.qr(down.float().T)
    U, S, Vh = torch.linalg.svd(R_up @ R_down.T, full_matrices=False)
    energy = S.double().square()
    r = kept_rank(energy, cut)
    root = S[:r].sqrt()
    gone = math.sqrt(float(energy[r:].sum()))
    return Q_up @ (U[:, :r] * root), (root[:, None] * Vh[:r]) @ Q_down.T, gone, math.sqrt(float(energy.sum()))


def as_lora(up: Tensor, down: Tensor, shape: tuple[int, ...]) -> LoraFactors:
    """The product up (o, r) @ down (r, n) as a LoRA of a layer whose weight has this shape; alpha = rank."""
    r, ones = down.shape[0], (1,) * (len(shape) - 2)
    return LoraFactors(down.reshape(r, *shape[1:]), up.reshape(-1, r, *ones), float(r))


def kept_rank(energy: Tensor, cut: Cut) -> int:
    """How many of the squared singular values, largest first, `cut` keeps: at least one."""
    total = float(energy.sum())
    # What rounding left is no rank.
    r = int((energy[0] * 1e-12 < energy).sum())
    if cut.rank is not None:
        r = min(r, cut.rank)
    if cut.keep < 1.0 and total:
        r = min(r, 1 + int((energy.cumsum(0) < cut.keep * total).sum()))
    if cut.ratio is not None:
        r = min(r, int((energy * cut.ratio**2 >= energy[0]).sum()))
    return max(1, r)


def _shape(factors: LayerFactors, name: str) -> tuple[int, ...]:
    """The weight's shape; a kernel that the file holds flattened is told by the layer's name."""
    extent = tuple(int(cast(int, size)) for size in factors.extent)
    flattened = len(extent) == 2 and factors.flattens
    if flattened and name.endswith(CONVOLUTIONS) and extent[1] % 9 == 0:
        return extent[0], extent[1] // 9, 3, 3
    return extent
