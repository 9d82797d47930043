"""Blocks of the denoiser by the names of its layers, and strengths by block.

Blocks are TE (the text encoders), IN00 ... IN11, M00, OUT00 ... OUT11 (SDXL: to 08), as in block weights of web UIs;
IN, M and OUT mean all of their kind, BASE everything that is not named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from lorasmith.bases.families import FAMILIES, find_family, is_text_layer
from lorasmith.bases.targets import TargetLayer
from lorasmith.errors import UsageError, did_you_mean

_STABILITY = re.compile(r"^lora_unet_(input|output)_blocks_(\d+)_")


def block_of(name: str, layers: Mapping[str, TargetLayer] | None = None) -> str:
    """The block of a layer by its kohya name, in either spelling: "IN04", "M00", "TE"; "BASE" for what is in none.

    `layers` are those of the base; without them the blocks are those of the families' public models.
    """
    if layers is not None and name in layers:
        return layers[name].block
    if is_text_layer(name):
        return "TE"
    stability = _STABILITY.match(name)
    if stability is not None:
        return f"{'IN' if stability[1] == 'input' else 'OUT'}{int(stability[2]):02}"
    return _public_blocks(tuple(FAMILIES)).get(name, "BASE")


@cache
def _public_blocks(families: tuple[str, ...]) -> Mapping[str, str]:
    """The blocks of all public models' layers, by every spelling. What several families name so is the layer of the
    one that was known first: that most adapters are for."""
    blocks: dict[str, str] = {}
    for family in map(find_family, families):
        layers = family.public_layers()
        for name, own in family.spellings(layers).items():
            blocks.setdefault(name, layers[own].block)
    return blocks


def block_strength(
    name: str, strength: float | Mapping[str, float], layers: Mapping[str, TargetLayer] | None = None
) -> float:
    """The strength for a layer: a number, or the table's for its block (`block_of`), its kind of block, or BASE (1 when
    absent)."""
    if not isinstance(strength, Mapping):
        return strength
    block = block_of(name, layers)
    kind = block.rstrip("0123456789")
    return next((strength[key] for key in (block, kind, "BASE") if key in strength), 1.0)


def read_blocks(text: str) -> dict[str, float]:
    """``IN=0.5,M00=1,OUT03=0`` as a table. Raises UsageError."""
    table: dict[str, float] = {}
    kinds = dict.fromkeys(kind for family in FAMILIES.values() for kind in family.block_kinds)
    for entry in text.split(","):
        name, _, value = entry.partition("=")
        if not re.fullmatch(rf"({'|'.join(('BASE', 'TE', *kinds))})(\d\d)?", name.strip().upper()):
            known = ("BASE", "TE", *kinds, *(f"{kind}00" for kind in kinds))
            listed = ", ".join(f"{kind}, {kind}00 ..." for kind in kinds)
            hint = did_you_mean(name.strip(), known) or f"Blocks are BASE, TE, {listed}"
            raise UsageError(f'"{name.strip()}" is no block.', hint=hint)
        try:
            table[name.strip().upper()] = float(value)
        except ValueError:
            raise UsageError(f'{name.strip()}: "{value}" is no number.') from None
    return table
