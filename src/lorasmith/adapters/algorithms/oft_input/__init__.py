"""OFT on a layer's input, as PEFT and OneTrainer make it."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="oft_input",
    title="OFT on the input",
    factors="lorasmith.adapters.algorithms.oft_input.factors:InputOftFactors",
)
