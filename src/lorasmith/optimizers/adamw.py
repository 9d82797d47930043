"""AdamW (Loshchilov & Hutter 2019), torch's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from lorasmith.optimizers.elementwise import Elementwise
from lorasmith.optimizers.flat import FlatGroup
from lorasmith.optimizers.optimizer import BETAS, BetasOptions, Optimizer, OptimizerEntry, OptimizerWords, describe


def _build(groups: Sequence[FlatGroup], options: BetasOptions) -> Optimizer:
    from torch.optim import AdamW

    said: dict[str, Any] = {"weight_decay": options.weight_decay, "betas": options.betas or (0.9, 0.999), "eps": 1e-8}
    return Elementwise(groups, partial(AdamW, lr=0.0, **said), describe("torch.optim.adamw.AdamW", said))


OPTIMIZER = OptimizerEntry(
    name="adamw",
    build=_build,
    remembers=8,
    options=BetasOptions,
    words=OptimizerWords(kohya="AdamW", arguments=BETAS),
)
