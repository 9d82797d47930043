"""Butterfly OFT on a layer's input, as PEFT makes it."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="boft_input",
    title="BOFT on the input",
    factors="lorasmith.adapters.algorithms.boft_input.factors:InputBoftFactors",
)
