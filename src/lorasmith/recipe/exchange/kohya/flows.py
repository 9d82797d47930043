"""kohya's words for bases that learn a flow: the network module of each, and what it does otherwise there.

sd-scripts trains Anima (`networks/lora_anima.py`), musubi-tuner Z-Image (`networks/lora_zimage.py`, the same words for
most of it). Neither trains their text encoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.bases.families import FAMILIES
from lorasmith.bases.families.family import Family
from lorasmith.recipe.exchange.imported import Imported, flag
from lorasmith.recipe.recipe import Recipe

KOHYA = "kohya"
CONDITIONER = "train_llm_adapter"
"""A network argument: what stands between text encoder and denoiser learns, too."""
MUSUBI = frozenset(("networks.lora_zimage", "networks.lora_flux_2"))
"""Modules that musubi-tuner has and sd-scripts has not."""


def flow_of(given: Mapping[str, Any]) -> Family | None:
    """The family of flows that arguments are for; None where they do not tell."""
    said = {str(given.get("network_module")), *given}
    return next((family for family in FAMILIES.values() if said & set(family.trainer_words.get(KOHYA, ()))), None)


def flow_module(family: Family) -> str | None:
    """The network module for a family; None where the common ones are meant."""
    return next(iter(family.trainer_words.get(KOHYA, ())), None)


def takes_fp8(family: Family) -> bool:
    """Whether a base may be kept in fp8: sd-scripts' trainer of a flow warns and keeps it whole
    (`anima_train_network.py`)."""
    module = flow_module(family)
    return module is None or module in MUSUBI


def read_flow(given: Mapping[str, Any], result: Imported, conditioner: Any) -> None:
    """What these trainers do without being told: the text encoder is frozen, the conditioner learns when asked to."""
    family = flow_of(given)
    if family is None:
        return
    result.put("lr.text_encoder", 0.0)
    result.values["lr"].pop("text_encoder_2", None)
    if _has_conditioner(family) and flag(conditioner):
        result.put("lr.text_encoder_2", result.get("lr.unet"))


def write_conditioner(recipe: Recipe) -> dict[str, str]:
    """The argument that lets a conditioner learn."""
    return {CONDITIONER: "True"} if _has_conditioner(recipe.family) and recipe.lr.second else {}


def _has_conditioner(family: Family) -> bool:
    return flow_module(family) is not None and len(family.text) > 1
