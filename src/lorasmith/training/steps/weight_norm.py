"""What holds an adapter's change small: a bound on the norm of each layer's change."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from lorasmith.adapters.layers.factors import LayerFactors


@torch.no_grad()
def bound_norms(layers: Iterable[tuple[Tensor, LayerFactors]], most: float) -> int:
    """Scale each layer's factors so that the norm of its change is at most `most` (sd-scripts' scale weight norms);
    gives how many layers were scaled. The factors are changed in place; `layers` have the frozen weights first."""
    return sum(factors.bound(weight, most) for weight, factors in layers)
