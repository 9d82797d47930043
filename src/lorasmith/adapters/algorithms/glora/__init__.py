"""GLoRA (Chavan et al. 2023)."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm, KohyaWords

ALGORITHM = Algorithm(
    name="glora",
    title="GLoRA",
    factors="lorasmith.adapters.algorithms.glora.factors:GloraFactors",
    kohya=KohyaWords(algo="glora"),
)
