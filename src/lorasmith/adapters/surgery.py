"""Adapters made into other adapters: any algorithm to plain LoRA, another rank, several into one. With errors stated.

Every change of a layer is first written as up @ down, exactly where the algorithm allows it; a smaller rank then comes
from two thin QR decompositions and an SVD of their small cores: the same as the full SVD, without ever building the
full matrix. Shapes: o and n the sides of a layer's weight as a matrix, R the rank before, r after.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.adapter import Adapter, fit_adapter
from lorasmith.adapters.algorithms.algorithm import LayerFactors
from lorasmith.adapters.algorithms.full import FullFactors
from lorasmith.adapters.algorithms.loha import LohaFactors
from lorasmith.adapters.algorithms.lokr import LokrFactors
from lorasmith.adapters.algorithms.lora import LoraFactors
from lorasmith.adapters.algorithms.norm import NormFactors
from lorasmith.adapters.algorithms.tucker import TuckerFactors
from lorasmith.bases.base import Base
from lorasmith.errors import AdapterError

CONVOLUTIONS = ("_conv1", "_conv2", "_samplers_0_conv", "_in_layers_2", "_out_layers_3", "_op", "_2_conv", "_1_conv")
WITHOUT_BASE = (LoraFactors, TuckerFactors, LohaFactors, LokrFactors, FullFactors)


@dataclass(frozen=True)
class Cut:
    """How far to shorten: to `rank` at most, and no further than the share `keep` of the squared norm asks for."""

    rank: int | None = None
    keep: float = 1.0


@dataclass(frozen=True, eq=False)
class Operation:
    """A new adapter and what it lost: `error` is ||new - old|| / ||old|| over all layers, `errors` that of each."""

    adapter: Adapter
    error: float
    errors: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Product:
    """A change of a layer as up (o, R) @ down (R, n); `shape` is the weight's."""

    up: Tensor
    down: Tensor
    shape: tuple[int, ...]


def to_lora(adapter: Adapter, cut: Cut = Cut(), base: Base | None = None) -> Operation:
    """The adapter as plain LoRA, shortened by `cut`; alpha = rank. Another rank of a LoRA is the same thing.

    Exact without `cut`. DoRA, (IA)^3, OFT, BOFT and GLoRA change the base's weights in proportion: they need `base`,
    and fit that one only. Raises AdapterError, also for norms and biases, which no LoRA can hold.
    """
    return merge([adapter], [1.0], cut, base)


def merge(
    adapters: Sequence[Adapter],
    strengths: Sequence[float],
    cut: Cut = Cut(),
    base: Base | None = None,
) -> Operation:
    """One LoRA that acts as the adapters together with these strengths. Raises AdapterError."""
    if base is not None:
        adapters = [fit_adapter(adapter, base) for adapter in adapters]
    layers: dict[str, LayerFactors] = {}
    errors: dict[str, float] = {}
    lost = whole = 0.0
    for name in dict.fromkeys(name for adapter in adapters for name in adapter.layers):
        parts = [
            (as_product(adapter.layers[name], name, base, adapter.name), strength)
            for adapter, strength in zip(adapters, strengths, strict=True)
            if name in adapter.layers
        ]
        shape = parts[0][0].shape
        if any(part.shape != shape for part, _ in parts):
            raise AdapterError(f"the adapters have different shapes for {name}: they are of different families.")
        up = torch.cat([part.up * strength for part, strength in parts], dim=1)
        down = torch.cat([part.down for part, _ in parts], dim=0)
        up, down, gone, norm = shorten(up, down, cut)
        lost, whole = lost + gone**2, whole + norm**2
        errors[name] = gone / norm if norm else 0.0
        r, ones = down.shape[0], (1,) * (len(shape) - 2)
        layers[name] = LoraFactors(down.reshape(r, *shape[1:]), up.reshape(-1, r, *ones), float(r))
    metadata = {
        key: value
        for key, value in adapters[0].metadata.items()
        if not key.startswith("sshs_") and key not in ("ss_network_dim", "ss_network_alpha", "ss_network_args")
    }
    result = Adapter("+".join(adapter.name for adapter in adapters), layers, metadata)
    told = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(result.rank),
        "ss_network_alpha": str(result.alpha),
        "ss_network_args": "{}",
    }
    return Operation(replace(result, metadata=metadata | told), math.sqrt(lost / whole) if whole else 0.0, errors)


def as_product(factors: LayerFactors, name: str, base: Base | None = None, where: str = "") -> Product:
    """The change of a layer at strength 1 as a product. Raises AdapterError when it is none."""
    if isinstance(factors, NormFactors) or factors.delta_bias() is not None:
        raise AdapterError(
            f"{name} changes a norm or a bias, which a LoRA cannot hold.", where=where, hint="Keep the file as it is."
        )
    weight = None if base is None else cast(nn.Linear, base.module(name)).weight.detach()
    if weight is None and not isinstance(factors, WITHOUT_BASE):
        raise AdapterError(
            f"{name} is a {factors.algorithm}, which acts in proportion to the base's weights.",
            where=where,
            hint="Name the base that it was made for.",
        )
    shape = _shape(factors, name) if weight is None else tuple(weight.shape)
    if isinstance(factors, LoraFactors):
        return Product(factors.up.flatten(1) * factors.scale, factors.down.flatten(1), shape)
    if isinstance(factors, TuckerFactors):
        inner = torch.einsum("pqhw,qi->pihw", factors.mid, factors.down.flatten(1)).flatten(1)
        return Product(factors.up.flatten(1) * factors.scale, inner, shape)
    o, n = shape[0], math.prod(shape[1:])
    if isinstance(factors, LohaFactors) and factors.t1 is None and factors.w2_b.shape[0] * factors.rank < min(o, n):
        up = (factors.w1_a.unsqueeze(2) * factors.w2_a.unsqueeze(1)).flatten(1) * factors.scale
        return Product(up, (factors.w1_b.unsqueeze(1) * factors.w2_b).flatten(0, 1), shape)
    delta = factors.delta_weight(torch.zeros(shape) if weight is None else weight).flatten(1).float()
    if o <= n:
        return Product(torch.eye(o), delta, shape)
    return Product(delta, torch.eye(n), shape)


def shorten(up: Tensor, down: Tensor, cut: Cut) -> tuple[Tensor, Tensor, float, float]:
    """The best product of the rank that `cut` allows, balanced; the norms of what is lost and of all there was."""
    Q_up, R_up = torch.linalg.qr(up)
    Q_down, R_down = torch.linalg.qr(down.T)
    U, S, Vh = torch.linalg.svd(R_up @ R_down.T, full_matrices=False)
    energy = S.double().square()
    total = float(energy.sum())
    # What rounding left is no rank.
    r = max(1, int((S[0] * 1e-6 < S).sum()))
    if cut.rank is not None:
        r = min(r, cut.rank)
    if cut.keep < 1.0 and total:
        r = min(r, 1 + int((energy.cumsum(0) < cut.keep * total).sum()))
    root = S[:r].sqrt()
    gone = math.sqrt(float(energy[r:].sum()))
    return Q_up @ (U[:, :r] * root), (root[:, None] * Vh[:r]) @ Q_down.T, gone, math.sqrt(total)


def _shape(factors: LayerFactors, name: str) -> tuple[int, ...]:
    """The weight's shape; a kernel that the file holds flattened is told by the layer's name."""
    extent = tuple(int(cast(int, size)) for size in factors.extent)
    flattened = len(extent) == 2 and isinstance(factors, (LohaFactors, LokrFactors))
    if flattened and name.endswith(CONVOLUTIONS) and extent[1] % 9 == 0:
        return extent[0], extent[1] // 9, 3, 3
    return extent
