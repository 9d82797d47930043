"""What of a base decides about its pictures: asked of one in memory, or read from its configuration before.

Importable without torch.
"""

from __future__ import annotations

import math
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
    `text_layers` is how far back `clip_skip` may reach; `tiles`: its pictures can be made to go on round their edges.
    `text_widths` are those of the vectors that embeddings have for its text encoders; none where it takes none.
    """

    resolution: int | None = None
    cfg: float | None = None
    factor: int = 8
    text_layers: int | None = None
    tiles: bool | None = None
    text_widths: tuple[int, ...] | None = None


def facts_of(base: Base) -> BaseFacts:
    """The facts of a base in memory."""
    family = base.family
    factor = math.lcm(base.vae_factor, family.pixel_step)
    reader = base.prompt_encoder
    return BaseFacts(base.resolution, base.cfg, factor, reader.most_clip_skip, family.tiles, reader.embedding_widths)


def known_facts(source: str) -> BaseFacts:
    """What headers and configurations tell of a base before it is loaded: "doodle", a folder or a file.

    Never raises: what cannot be read is not known, and loading will say what is wrong with it.
    """
    try:
        structure = detect(doodle_folder() if source == EMBEDDED else Path(source).expanduser())
    except LorasmithError:
        return BaseFacts()
    family = structure.family
    resolution, factor = family.known_sides(structure)
    layers = structure.depths[0] if family.reads_clip_skip and structure.depths else None
    widths = tuple(int(text.config["hidden_size"]) for text in structure.text) if family.clip_words else ()
    return BaseFacts(resolution, family.guidance(structure), factor, layers, family.tiles, widths)
