"""LoRA (Hu et al. 2021); with convolutions too, what LyCORIS calls a LoCon."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm, Cost, KohyaWords

ALGORITHM = Algorithm(
    name="lora",
    title="LoRA",
    factors="lorasmith.adapters.algorithms.lora.factors:LoraFactors",
    cost=Cost(thin_convolutions=True),
    trainable=True,
    switches=frozenset(
        (
            "dora",
            "conv.tucker",
            "dropout.network",
            "dropout.rank",
            "rank_by_timestep",
            "max_weight_norm",
            "lr.plus_ratio",
        )
    ),
    core="tucker",
    kohya=KohyaWords(algo="locon", module="networks.lora", modules=("lycoris.kohya",), algos=("lora",)),
)
