"""What of a base decides about its pictures: asked of one in memory, or read from its configuration before.

Importable without torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.bases.doodle import doodle_folder
from lorasmith.project import EMBEDDED

if TYPE_CHECKING:
    from lorasmith.bases.base import Base

EMBEDDED_CFG, OTHER_CFG = 1.75, 7.0


@dataclass(frozen=True)
class BaseFacts:
    """What is not known yet is None.

    `resolution` is a side in pixels, `cfg` the guidance that suits the base, sides are multiples of `factor`, and
    `text_layers` is how far back `clip_skip` may reach.
    """

    resolution: int | None = None
    cfg: float | None = None
    factor: int = 8
    text_layers: int | None = None


def facts_of(base: Base) -> BaseFacts:
    """The facts of a base in memory."""
    return BaseFacts(base.resolution, default_cfg(base.name), base.vae_factor, base.prompt_encoder.most_clip_skip)


def default_cfg(name: str) -> float:
    """The guidance that suits a base: 1.75 for the embedded one (docs/log.md), 7 for others."""
    return EMBEDDED_CFG if name == EMBEDDED else OTHER_CFG


def known_facts(source: str) -> BaseFacts:
    """What a base's configuration tells before it is loaded, of "doodle", a diffusers folder or anything else.

    Never raises: what cannot be read is not known, and loading will say what is wrong with it.
    """
    folder = doodle_folder() if source == EMBEDDED else Path(source)
    side = _config(folder / "unet").get("sample_size")
    blocks = _config(folder / "vae").get("block_out_channels")
    if not isinstance(side, int) or not isinstance(blocks, list):
        return BaseFacts(cfg=default_cfg(source))
    factor = 2 ** (len(blocks) - 1)
    layers = _config(folder / "text_encoder").get("num_hidden_layers")
    return BaseFacts(side * factor, default_cfg(source), factor, layers if isinstance(layers, int) else None)


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
