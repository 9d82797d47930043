"""A change of the weight and one of the bias beside it, as PEFT (`lora_bias`) and ComfyUI (`diff_b`) write them."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm

ALGORITHM = Algorithm(
    name="biased",
    title="LoRA with a bias",
    factors="lorasmith.adapters.algorithms.biased.factors:BiasedFactors",
    switches=frozenset(("lr.plus_ratio",)),
)
