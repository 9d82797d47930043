"""The registered algorithms. To add one: its file, a line here, its test, a row in the docs."""

from __future__ import annotations

from lorasmith.adapters.algorithms.algorithm import LayerFactors
from lorasmith.adapters.algorithms.boft import BoftFactors
from lorasmith.adapters.algorithms.dora import DoraFactors
from lorasmith.adapters.algorithms.dylora import DyloraFactors
from lorasmith.adapters.algorithms.full import FullFactors
from lorasmith.adapters.algorithms.glora import GloraFactors
from lorasmith.adapters.algorithms.ia3 import Ia3Factors
from lorasmith.adapters.algorithms.loha import LohaFactors
from lorasmith.adapters.algorithms.lokr import LokrFactors
from lorasmith.adapters.algorithms.lora import LoraFactors
from lorasmith.adapters.algorithms.norm import NormFactors
from lorasmith.adapters.algorithms.oft import OftFactors
from lorasmith.adapters.algorithms.tucker import TuckerFactors

ALGORITHMS: dict[str, type[LayerFactors]] = {
    factors.algorithm: factors
    for factors in (
        LoraFactors,
        TuckerFactors,
        DoraFactors,
        LohaFactors,
        LokrFactors,
        DyloraFactors,
        Ia3Factors,
        FullFactors,
        NormFactors,
        OftFactors,
        BoftFactors,
        GloraFactors,
    )
}
