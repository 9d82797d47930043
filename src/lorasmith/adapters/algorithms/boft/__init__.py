"""Butterfly OFT (Liu et al. 2024)."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm, KohyaWords

ALGORITHM = Algorithm(
    name="boft",
    title="BOFT",
    factors="lorasmith.adapters.algorithms.boft.factors:BoftFactors",
    kohya=KohyaWords(algo="boft"),
)
