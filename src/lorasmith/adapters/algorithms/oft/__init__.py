"""Diagonal OFT (Qiu et al. 2023)."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm, KohyaWords

ALGORITHM = Algorithm(
    name="oft",
    title="OFT",
    factors="lorasmith.adapters.algorithms.oft.factors:OftFactors",
    kohya=KohyaWords(algo="diag-oft"),
)
