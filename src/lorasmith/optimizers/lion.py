"""Lion (Chen et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lorasmith.optimizers.flat import FlatGroup
from lorasmith.optimizers.optimizer import BETAS, BetasOptions, Optimizer, OptimizerEntry, OptimizerWords, describe

if TYPE_CHECKING:
    from torch import Tensor


class Lion:
    """Lion (Chen et al. 2023, algorithm 2): the sign of a mixed momentum, with decoupled weight decay."""

    def __init__(self, groups: Sequence[FlatGroup], *, weight_decay: float, betas: tuple[float, float]) -> None:
        import torch

        self._groups = groups
        self._momentum = {group.name: torch.zeros_like(group.data) for group in groups}
        self._weight_decay = weight_decay
        self._betas = betas
        self.description = describe(
            "lion_pytorch.lion_pytorch.Lion", {"weight_decay": f"{weight_decay:g}", "betas": betas}
        )

    def step(self, rates: Mapping[str, float]) -> None:
        import torch

        first, second = self._betas
        with torch.no_grad():
            for group in self._groups:
                momentum, rate = self._momentum[group.name], rates[group.name]
                update = momentum.lerp(group.grad, 1 - first).sign_()
                group.data.mul_(1 - rate * self._weight_decay).sub_(update, alpha=rate)
                momentum.lerp_(group.grad, 1 - second)

    def state(self) -> dict[str, Tensor]:
        return dict(self._momentum)

    def load(self, state: Mapping[str, Tensor]) -> None:
        for name, momentum in self._momentum.items():
            momentum.copy_(state[name])

    @contextmanager
    def settled(self) -> Iterator[None]:
        yield


def _build(groups: Sequence[FlatGroup], options: BetasOptions) -> Optimizer:
    return Lion(groups, weight_decay=options.weight_decay, betas=options.betas or (0.9, 0.99))


OPTIMIZER = OptimizerEntry(
    name="lion",
    build=_build,
    remembers=4,
    options=BetasOptions,
    about="wants lower rates",
    preset={"lr": {"unet": 1e-4, "text_encoder": 1e-5}},
    words=OptimizerWords(kohya="Lion", arguments=BETAS),
)
