"""What holds an adapter's change small: a bound on each layer's norm, and a penalty on all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.algorithms.algorithm import LayerFactors
from lorasmith.adapters.algorithms.lora import LoraFactors


def squared_norm(factors: LayerFactors, weight: Tensor) -> Tensor:
    """||delta W||^2 (Frobenius), (), differentiable; for LoRA by products of rank x rank, delta W is never built."""
    if type(factors) is not LoraFactors:
        return factors.delta_weight(weight).square().sum()
    up, down = factors.up.flatten(1), factors.down.flatten(1)
    return factors.scale**2 * ((up.T @ up) * (down @ down.T)).sum()


@torch.no_grad()
def bound_norms(layers: Iterable[tuple[nn.Module, LoraFactors]], most: float) -> int:
    """Scale both factors of a layer by sqrt(most / norm) where its norm is above `most` (sd-scripts' scale weight
    norms); gives how many layers were scaled. The factors are changed in place."""
    scaled = 0
    for layer, factors in layers:
        norm = float(squared_norm(factors, cast(Tensor, layer.weight)).clamp(min=0).sqrt())
        if norm > most:
            root = (most / norm) ** 0.5
            factors.up.mul_(root)
            factors.down.mul_(root)
            scaled += 1
    return scaled
