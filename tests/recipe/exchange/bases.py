"""Folders that tell a family and hold nothing else, for recipes on bases of it."""

from __future__ import annotations

import json
from pathlib import Path

CONFIGS = {
    "anima": {"transformer": "CosmosTransformer3DModel", "text_conditioner": "AnimaTextConditioner"},
    "zimage": {"transformer": "ZImageTransformer2DModel"},
    "klein": {"transformer": "Flux2Transformer2DModel"},
}
MORE = {"klein": {"guidance_embeds": False}}
"""What else a part's configuration says."""


def told_base(folder: Path, family: str) -> str:
    """A diffusers folder by whose configurations the family is told."""
    for part, name in CONFIGS[family].items():
        (folder / family / part).mkdir(parents=True, exist_ok=True)
        (folder / family / part / "config.json").write_text(json.dumps({"_class_name": name, **MORE.get(family, {})}))
    return str(folder / family)
