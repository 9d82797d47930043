"""Blocks of the denoiser by the names of its layers, and strengths by block.

Blocks are TE (the text encoders), IN00 ... IN11, M00, OUT00 ... OUT11 (SDXL: to 08), as in block weights of web UIs;
IN, M and OUT mean all of their kind, BASE everything that is not named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lorasmith.errors import UsageError, did_you_mean

_STABILITY = re.compile(r"^lora_unet_(input|output)_blocks_(\d+)_")
# diffusers numbers its blocks by level; three entries a level, the last of which is the sampler.
_DIFFUSERS = re.compile(r"^lora_unet_(down|up)_blocks_(\d+)_(attentions|resnets|downsamplers|upsamplers)_(\d+)")
_BLOCK = re.compile(r"(BASE|TE|IN|OUT|M)(\d{2})?")
KNOWN = ("BASE", "TE", "IN", "M", "OUT", "IN00", "M00", "OUT00")


def block_of(name: str) -> str:
    """The block of a layer by its kohya name, in either spelling: "IN04", "M00", "TE"; "BASE" for what is in none."""
    if name.startswith("lora_te"):
        return "TE"
    if name.startswith(("lora_unet_middle_block", "lora_unet_mid_block")):
        return "M00"
    stability = _STABILITY.match(name)
    if stability is not None:
        return f"{'IN' if stability[1] == 'input' else 'OUT'}{int(stability[2]):02}"
    found = _DIFFUSERS.match(name)
    if found is None:
        return "BASE"
    level, kind, place = int(found[2]), found[3], int(found[4])
    if found[1] == "down":
        return f"IN{3 * level + (3 if kind == 'downsamplers' else 1 + place):02}"
    return f"OUT{3 * level + (2 if kind == 'upsamplers' else place):02}"


def block_strength(name: str, strength: float | Mapping[str, float]) -> float:
    """The strength for a layer: a number, or the table's for its block, its kind of block, or BASE (1 when absent)."""
    if not isinstance(strength, Mapping):
        return strength
    block = block_of(name)
    kind = block.rstrip("0123456789")
    return next((strength[key] for key in (block, kind, "BASE") if key in strength), 1.0)


def read_blocks(text: str) -> dict[str, float]:
    """``IN=0.5,M00=1,OUT03=0`` as a table. Raises UsageError."""
    table: dict[str, float] = {}
    for entry in text.split(","):
        name, _, value = entry.partition("=")
        if not _BLOCK.fullmatch(name.strip().upper()):
            hint = did_you_mean(name.strip(), KNOWN) or "Blocks are BASE, TE, IN, IN00 ..., M00, OUT, OUT00 ..."
            raise UsageError(f'"{name.strip()}" is no block.', hint=hint)
        try:
            table[name.strip().upper()] = float(value)
        except ValueError:
            raise UsageError(f'{name.strip()}: "{value}" is no number.') from None
    return table
