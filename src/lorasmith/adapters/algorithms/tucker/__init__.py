"""LoRA with a core kernel on convolutions: what `conv.tucker` makes of LoRA."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import Algorithm, KohyaWords

ALGORITHM = Algorithm(
    name="tucker",
    title="LoRA with a core",
    factors="lorasmith.adapters.algorithms.tucker.factors:TuckerFactors",
    switches=frozenset(("dora", "lr.plus_ratio")),
    kohya=KohyaWords(algo="locon", flags={"use_tucker": "True"}),
)
