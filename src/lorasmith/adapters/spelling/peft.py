"""What PEFT says of an adapter beside its tensors: ranks and alphas by layer, and how rotations are made.

diffusers writes it into the file's metadata, each key after the part of the model that it is for (`unet.lora_alpha`);
PEFT writes it into `adapter_config.json` beside the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = "adapter_config.json"
MODEL = "adapter_model.safetensors"
MAX_CONFIG = 10_000_000
NEUMANN_TERMS = 5
"""PEFT's default (`OFTConfig.num_cayley_neumann_terms`); OneTrainer has no other."""


@dataclass(frozen=True)
class PeftConfig:
    """A configuration; empty where there is none or it cannot be read."""

    table: Mapping[str, Any]

    def value(self, owner: str, key: str, default: Any = None) -> Any:
        """What it says for a part of the model, else for the file."""
        return self.table.get(f"{owner}.{key}", self.table.get(key, default))

    def alpha(self, owner: str, path: str, rank: int | None) -> float | None:
        """alpha of a layer by its pattern, else of the part or the file; None when nothing is said.

        Rank-stabilised LoRA scales by alpha / sqrt(rank): given is the alpha whose alpha / rank is that.
        """
        alpha = _number(self._by_pattern(owner, "alpha_pattern", path))
        if alpha is None:
            alpha = _number(self.value(owner, "lora_alpha", self.value(owner, "alpha")))
        if alpha is not None and rank is not None and self.value(owner, "use_rslora") is True:
            alpha *= math.sqrt(rank)
        return alpha

    def rank(self, owner: str, path: str) -> float | None:
        """The rank that a layer was made with, which tensors do not tell where PEFT has whole factors."""
        rank = _number(self._by_pattern(owner, "rank_pattern", path))
        return _number(self.value(owner, "r")) if rank is None else rank

    def terms(self, owner: str) -> int:
        """How many terms of Neumann's series make a rotation (OFT); 0: the inverse itself."""
        if self.value(owner, "use_cayley_neumann", True) is False:
            return 0
        return int(_number(self.value(owner, "num_cayley_neumann_terms")) or NEUMANN_TERMS)

    def _by_pattern(self, owner: str, key: str, path: str) -> Any:
        """The value of the first pattern that is the end of the path, as `peft.utils.other.get_pattern_key` matches."""
        patterns = self.value(owner, key)
        for pattern, value in patterns.items() if isinstance(patterns, Mapping) else ():
            try:
                if re.match(rf"(.*\.)?({pattern})$", path):
                    return value
            except re.error:
                continue
        return None


def read_peft_config(metadata: Mapping[str, str], where: object) -> PeftConfig:
    """The configuration in a file's metadata, else in the folder that it lies in."""
    text = metadata.get("lora_adapter_metadata", "")
    beside = where.with_name(CONFIG) if isinstance(where, Path) else None
    try:
        if not text and beside is not None and beside.stat().st_size < MAX_CONFIG:
            text = beside.read_text("utf-8")
        table = json.loads(text or "{}")
    except (OSError, ValueError, RecursionError):
        table = {}
    return PeftConfig(table if isinstance(table, dict) else {})


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
