"""AdamW with its memory in 8 bits (Dettmers et al. 2022), of bitsandbytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from lorasmith.errors import RecipeError
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

if TYPE_CHECKING:
    import torch


def _build(groups: Sequence[FlatGroup], options: BetasOptions) -> Optimizer:
    kind = load_library(OPTIMIZER).optim.AdamW8bit
    said = {"weight_decay": options.weight_decay, "betas": options.betas or (0.9, 0.999)}
    return Elementwise(groups, partial(kind, lr=1.0, **said), describe("bitsandbytes.optim.adamw.AdamW8bit", said))


def _try_step(device: torch.device) -> None:
    """Raises RecipeError when the installed bitsandbytes cannot step on this device."""
    import torch
    from torch import nn

    parameter = nn.Parameter(torch.zeros(4096, device=device))
    parameter.grad = torch.ones_like(parameter)
    try:
        load_library(OPTIMIZER).optim.AdamW8bit([parameter], lr=1e-3).step()
    except Exception as fault:  # whatever its native part raises
        raise RecipeError(
            f"optimizer.name = adamw8bit cannot run on this {device.type} ({fault}).",
            hint="Use adamw: for an adapter its memory is small.",
        ) from None


OPTIMIZER = OptimizerEntry(
    name="adamw8bit",
    build=_build,
    remembers=2,
    options=BetasOptions,
    package="bitsandbytes",
    trial=_try_step,
    words=OptimizerWords(
        kohya="AdamW8bit",
        also=("pagedadamw8bit",),
        arguments=BETAS,
        hub="AdamW8Bit",
        hub_adds={"weight_decay": 0.1},
    ),
)
