"""DyLoRA (Valipour et al. 2022)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lorasmith.adapters.algorithms.algorithm import Algorithm, Cost, KohyaWords, Options


class DyloraOptions(Options):
    """What a DyLoRA draws."""

    block: Annotated[int, Field(ge=1)] = Field(default=1, description="ranks that are trained together")


ALGORITHM = Algorithm(
    name="dylora",
    title="DyLoRA",
    factors="lorasmith.adapters.algorithms.dylora.factors:DyloraFactors",
    options=DyloraOptions,
    cost=Cost(thin_convolutions=True),
    trainable=True,
    switches=frozenset(("lr.plus_ratio",)),
    kohya=KohyaWords(algo="dylora", module="networks.dylora", arguments={"unit": "block", "block_size": "block"}),
    former_keys={"dylora_block": "block"},
)
