"""A sampler's walk with a model that says x_0."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from lorasmith.diffusion.solvers.walk import Walk


def follow(walk: Walk, model: Callable[[Tensor, float], Tensor]) -> tuple[Tensor, int]:
    """Where it ends, and how often the model was asked."""
    noisy, asked = next(walk), 0
    while True:
        asked += 1
        try:
            noisy = walk.send(model(noisy.x, noisy.sigma))
        except StopIteration as end:
            x: Tensor = end.value
            return x, asked
