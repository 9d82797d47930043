"""Recipes from other trainers and for them (R6): each trainer is an entry, found by listing this folder."""

from __future__ import annotations

from lorasmith.recipe.exchange.other_trainer import OtherTrainer
from lorasmith.registry import Registry

OTHER_TRAINERS: Registry[OtherTrainer] = Registry("a trainer", __name__, "OTHER_TRAINER")
