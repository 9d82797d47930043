"""ai-toolkit (ostris): a job's YAML or JSON, read and written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.recipe.exchange.ai_toolkit.reading import from_job
from lorasmith.recipe.exchange.ai_toolkit.words import TRAINER
from lorasmith.recipe.exchange.ai_toolkit.writing import write_job
from lorasmith.recipe.exchange.other_trainer import OtherTrainer


def _is_job(document: Mapping[str, Any]) -> bool:
    config = document.get("config")
    return isinstance(config, Mapping) and isinstance(config.get("process"), list)


OTHER_TRAINER = OtherTrainer(TRAINER, "ai-toolkit's YAML", _is_job, from_job, write_job, counts=True)
