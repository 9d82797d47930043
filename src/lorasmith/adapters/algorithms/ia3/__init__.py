"""(IA)^3 (Liu et al. 2022)."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm, Cost, KohyaWords

ALGORITHM = Algorithm(
    name="ia3",
    title="(IA)^3",
    factors="lorasmith.adapters.algorithms.ia3.factors:Ia3Factors",
    cost=Cost(0.98, 0.98, 0.0, 0.5),
    trainable=True,
    ranked=False,
    kohya=KohyaWords(algo="ia3"),
)
