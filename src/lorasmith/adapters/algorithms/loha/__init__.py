"""LoHa (Hyeon-Woo et al. 2021; Yeh et al. 2023)."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm, Cost, KohyaWords

ALGORITHM = Algorithm(
    name="loha",
    title="LoHa",
    factors="lorasmith.adapters.algorithms.loha.factors:LohaFactors",
    cost=Cost(1.13, 1.56, 2.0, fixed_time=2.2),
    trainable=True,
    switches=frozenset(("dora", "conv.tucker")),
    kohya=KohyaWords(algo="loha", modules=("networks.loha",)),
)
