"""Averages of the steps: what a snapshot holds instead of the last step alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from lorasmith.optimizers.flat import FlatGroup, lent


class Average:
    """The mean of the factors over steps, in one buffer per group.

    "ema": after each step the mean moves by 1 - d towards the factors, d = min(decay, (1 + n) / (10 + n)) after n
    steps, so that it does not remember the start. "tail": all steps after the first 1 - share of `steps` count alike
    (Izmailov et al. 2018). Before the first counted step, and with "none", nothing is averaged.
    """

    def __init__(self, groups: Sequence[FlatGroup], kind: str, *, decay: float, share: float, steps: int) -> None:
        self._groups = groups
        self._kind = kind
        self._decay = decay
        self._from = steps - max(1, round(share * steps)) if kind == "tail" else 0
        self._count = 0
        self._means = {} if kind == "none" else {group.name: torch.zeros_like(group.data) for group in groups}

    @torch.no_grad()
    def add(self, step: int) -> None:
        """Take in the factors after so many finished steps."""
        if self._kind == "none" or step <= self._from:
            return
        self._count += 1
        n = self._count
        share = 1 / n if self._kind == "tail" or n == 1 else 1 - min(self._decay, (1 + n) / (10 + n))
        for group in self._groups:
            self._means[group.name].lerp_(group.data, share)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the buffers hold the mean; then what they held before, bit for bit."""
        if not self._count:
            yield
            return
        with lent(self._groups):
            for group in self._groups:
                group.data.copy_(self._means[group.name])
            yield

    def state(self) -> dict[str, Tensor]:
        return self._means | ({"count": torch.tensor(self._count)} if self._means else {})

    def load(self, state: Mapping[str, Tensor]) -> None:
        for name, mean in self._means.items():
            mean.copy_(state[name])
        self._count = int(state["count"]) if self._means else 0
