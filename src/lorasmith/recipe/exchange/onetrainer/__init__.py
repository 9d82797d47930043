"""OneTrainer (Nerogar): its presets and saved configurations, read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.recipe.exchange.onetrainer.reading import from_config
from lorasmith.recipe.exchange.onetrainer.words import TRAINER
from lorasmith.recipe.exchange.other_trainer import OtherTrainer


def _is_config(document: Mapping[str, Any]) -> bool:
    return "training_method" in document and "model_type" in document


OTHER_TRAINER = OtherTrainer(TRAINER, "OneTrainer's JSON", _is_config, from_config)
