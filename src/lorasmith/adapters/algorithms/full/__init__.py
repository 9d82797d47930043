"""Full difference: a fine-tuned model less its base."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm, KohyaWords

ALGORITHM = Algorithm(
    name="full",
    title="full difference",
    factors="lorasmith.adapters.algorithms.full.factors:FullFactors",
    kohya=KohyaWords(algo="full"),
)
