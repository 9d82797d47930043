"""DoRA (Liu et al. 2024): magnitudes over another algorithm, which the key `dora` asks for."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm, Cost, KohyaWords

ALGORITHM = Algorithm(
    name="dora",
    title="DoRA",
    factors="lorasmith.adapters.algorithms.dora.factors:DoraFactors",
    cost=Cost(time=1.10, conv_time=1.10, per_rank=0.0, fixed=0.5, fixed_time=1.4),  # over another's
    switches=frozenset(("conv.tucker", "lr.plus_ratio")),
    kohya=KohyaWords(flags={"dora_wd": "True"}),
)
