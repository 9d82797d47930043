"""What is said of a family in a few values: presets, words in files' headers, text encoders.

Importable without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Values of a recipe, and a sentence for each reason why they are so."""

    values: Mapping[str, Any]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class TrainerTimes:
    """The times at which another trainer trains a family by its own defaults: values of `[recipe.timesteps]`, and where
    they are read."""

    values: Mapping[str, Any]
    source: str


@dataclass(frozen=True)
class HeaderFacts:
    """What adapter files say of the family of their base, in the words of other tools: kohya's `ss_base_model_version`
    and `ss_v2`, modelspec's architecture and implementation."""

    version: str
    architecture: str
    implementation: str = "diffusers"
    v2: bool = False


@dataclass(frozen=True)
class TextPart:
    """A text encoder: the part of the base that it is, how the names of its layers begin in kohya's files, its
    tokenizer's folder, its width in public models (0: not known), and how else names begin (ComfyUI, OMI)."""

    owner: str
    prefix: str
    tokenizer: str
    width: int = 0
    others: tuple[str, ...] = ()
