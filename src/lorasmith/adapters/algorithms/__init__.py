"""The registered algorithms. To add one: its file, a line here, its test, a row in the docs."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import LayerFactors
from lorasmith.adapters.algorithms.lora import LoraFactors

ALGORITHMS: dict[str, type[LayerFactors]] = {factors.algorithm: factors for factors in (LoraFactors,)}
