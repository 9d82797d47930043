"""Recipes from other trainers and for them (R6): each trainer is an entry, found by listing this folder."""

from __future__ import annotations

from lorasmith.recipe.exchange.trainer import Trainer
from lorasmith.registry import Registry

TRAINERS: Registry[Trainer] = Registry("a trainer", __name__, "TRAINER")
