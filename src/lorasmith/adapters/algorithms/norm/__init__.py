"""Normalisation layers trained themselves."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm, Cost, KohyaWords

ALGORITHM = Algorithm(
    name="norm",
    title="norms",
    factors="lorasmith.adapters.algorithms.norm.factors:NormFactors",
    cost=Cost(0.98, 0.98, 0.0, 0.1),
    trainable=True,
    ranked=False,
    on_norms=True,
    kohya=KohyaWords(algo="norm"),
)
