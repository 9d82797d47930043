"""Prodigy (Mishchenko & Defazio 2023), of prodigyopt: finds the learning rate itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from lorasmith.optimizers.elementwise import Elementwise
from lorasmith.optimizers.flat import FlatGroup
from lorasmith.optimizers.optimizer import (
    BETAS,
    BetasOptions,
    Optimizer,
    OptimizerEntry,
    OptimizerWords,
    describe,
    load_library,
)


class ProdigyOptions(BetasOptions):
    """AdamW's, and how bold it is."""

    growth: Annotated[float, Field(gt=0, le=10)] = Field(
        default=1, description="makes the rate that it finds larger or smaller (d_coef)"
    )


def _build(groups: Sequence[FlatGroup], options: ProdigyOptions) -> Optimizer:
    said: dict[str, Any] = {
        "weight_decay": options.weight_decay,
        "decouple": True,
        "betas": options.betas or (0.9, 0.99),
        "d_coef": options.growth,
    }
    kind = load_library(OPTIMIZER).Prodigy
    return Elementwise(groups, partial(kind, lr=1.0, **said), describe("prodigyopt.Prodigy", said))


OPTIMIZER = OptimizerEntry(
    name="prodigy",
    build=_build,
    remembers=16,
    options=ProdigyOptions,
    about="finds the rate itself: leave lr at 1",
    preset={
        "lr": {"unet": 1.0, "text_encoder": 1.0},
        "schedule": {"name": "cosine"},
        "optimizer": {"weight_decay": 0.5},
    },
    package="prodigyopt",
    one_rate=True,
    words=OptimizerWords(
        kohya="Prodigy",
        arguments={**BETAS, "d_coef": "growth"},
        unused=frozenset(("decouple", "use_bias_correction", "safeguard_warmup")),
        hub="Prodigy",
        hub_adds={"weight_decay": 0.5, "betas": [0.9, 0.99]},
    ),
)
