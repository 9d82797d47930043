"""LoKr (Edalati et al. 2022; Yeh et al. 2023)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lorasmith.adapters.algorithms.algorithm import Algorithm, Cost, KohyaWords, Options


class LokrOptions(Options):
    """The two factors of a LoKr."""

    factor: Annotated[int, Field(ge=-1)] = Field(
        default=-1, description="most rows and columns of the first factor; -1: as square as can be"
    )
    full: bool = Field(default=False, description="do not decompose the second factor; rank is then not used")
    both: bool = Field(default=False, description="decompose the first factor too")


ALGORITHM = Algorithm(
    name="lokr",
    title="LoKr",
    factors="lorasmith.adapters.algorithms.lokr.factors:LokrFactors",
    options=LokrOptions,
    cost=Cost(1.06, 1.41, 0.04, 0.5, fixed_time=1.8),  # its size with the widest factor
    trainable=True,
    switches=frozenset(("dora", "conv.tucker")),
    kohya=KohyaWords(
        algo="lokr",
        arguments={"factor": "factor", "full_matrix": "full", "decompose_both": "both"},
        modules=("networks.lokr",),
    ),
)
