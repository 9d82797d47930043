"""AdamW without a schedule (Defazio et al. 2024), of schedulefree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from lorasmith.optimizers.elementwise import Elementwise
from lorasmith.optimizers.flat import FlatGroup, lent
from lorasmith.optimizers.optimizer import (
    BETAS,
    BetasOptions,
    Optimizer,
    OptimizerEntry,
    OptimizerWords,
    describe,
    load_library,
)


class ScheduleFree(Elementwise):
    """Gradients are taken at y, what is saved is the average x."""

    def step(self, rates: Mapping[str, float]) -> None:
        for table in self._inner.param_groups:
            table["train_mode"] = True
        super().step(rates)

    @contextmanager
    def settled(self) -> Iterator[None]:
        # NOTE: the library's way back from x to y rounds; a copy does not.
        with lent(self._groups):
            self._inner.eval()
            try:
                yield
            finally:
                for table in self._inner.param_groups:
                    table["train_mode"] = True


def _build(groups: Sequence[FlatGroup], options: BetasOptions) -> Optimizer:
    said = {"weight_decay": options.weight_decay, "betas": options.betas or (0.9, 0.999)}
    kind = load_library(OPTIMIZER).AdamWScheduleFree
    # NOTE: its batched form writes into gradients and saves no time with so few buffers.
    make = partial(kind, lr=1.0, foreach=False, **said)
    return ScheduleFree(groups, make, describe("schedulefree.AdamWScheduleFree", said))


OPTIMIZER = OptimizerEntry(
    name="schedule_free",
    build=_build,
    remembers=8,
    options=BetasOptions,
    about="needs no schedule, and averages by itself",
    preset={"schedule": {"name": "constant"}, "average": {"kind": "none"}},
    package="schedulefree",
    averages=True,
    words=OptimizerWords(kohya="AdamWScheduleFree", also=("schedulefree.adamwschedulefree",), arguments=BETAS),
)
