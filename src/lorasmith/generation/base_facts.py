"""What of a base decides about its pictures: asked of one in memory, or read from its configuration before.

Importable without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lorasmith.bases.detection import detect
from lorasmith.bases.doodle import doodle_folder
from lorasmith.errors import LorasmithError
from lorasmith.project import EMBEDDED

if TYPE_CHECKING:
    from lorasmith.bases.base import Base


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
    return BaseFacts(base.resolution, base.family.cfg, base.vae_factor, base.prompt_encoder.most_clip_skip)


def known_facts(source: str) -> BaseFacts:
    """What headers and configurations tell of a base before it is loaded: "doodle", a folder or a file.

    Never raises: what cannot be read is not known, and loading will say what is wrong with it.
    """
    try:
        structure = detect(doodle_folder() if source == EMBEDDED else Path(source).expanduser())
    except LorasmithError:
        return BaseFacts()
    family = structure.family
    side, blocks = structure.denoiser.get("sample_size"), structure.vae.get("block_out_channels")
    factor = 2 ** (len(blocks) - 1) if isinstance(blocks, list | tuple) else BaseFacts.factor
    resolution = side * factor if isinstance(side, int) else family.resolution
    layers = structure.depths[0] if family.reads_clip_skip and structure.depths else None
    return BaseFacts(resolution, family.cfg, factor, layers)
