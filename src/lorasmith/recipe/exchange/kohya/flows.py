"""kohya's words for bases that learn a flow: the network module of each, and what it does otherwise there.

sd-scripts trains Anima (`networks/lora_anima.py`), musubi-tuner Z-Image (`networks/lora_zimage.py`, the same words for
most of it). Neither trains their text encoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.recipe.exchange.imported import Imported, flag
from lorasmith.recipe.recipe import Recipe

MODULES: Mapping[str, str] = {"anima": "networks.lora_anima", "zimage": "networks.lora_zimage"}
"""By family."""
CONDITIONER = "train_llm_adapter"
"""A network argument: Anima's conditioner learns, too."""
_MARKS = ("qwen3", "llm_adapter_path")
"""Arguments of Anima's trainer alone."""


def flow_of(given: Mapping[str, Any]) -> str | None:
    """The family of flows that arguments are for; None where they do not tell."""
    module = given.get("network_module")
    found = next((family for family, own in MODULES.items() if own == module), None)
    return found or ("anima" if any(key in given for key in _MARKS) else None)


def read_flow(given: Mapping[str, Any], result: Imported, conditioner: Any) -> None:
    """What these trainers do without being told: the text encoder is frozen, the conditioner learns when asked to."""
    family = flow_of(given)
    if family is None:
        return
    result.put("lr.text_encoder", 0.0)
    result.values["lr"].pop("text_encoder_2", None)
    if family == "anima" and flag(conditioner):
        result.put("lr.text_encoder_2", result.get("lr.unet"))


def write_flow_module(recipe: Recipe) -> str | None:
    """The network module for the recipe's base; None where the common ones are meant."""
    return MODULES.get(recipe.family.name)


def write_conditioner(recipe: Recipe) -> dict[str, str]:
    """The argument that lets Anima's conditioner learn."""
    return {CONDITIONER: "True"} if recipe.family.name == "anima" and recipe.lr.second else {}
