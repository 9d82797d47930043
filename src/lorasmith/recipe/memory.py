"""What a run holds in the memory of the device where it trains, part by part, and which switch makes it fit.

Formulas and counts: docs/performance.md. Arithmetic, not measurements; importable without torch.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lorasmith.bases.families.cost import Counts
from lorasmith.recipe.estimates import adapter_parameters, preserved_rows, remembered_bytes
from lorasmith.recipe.recipe import Recipe

CONV_MEMORY = 1.2
"""Activations where convolutions are adapted, too."""
KEPT_THERE = 2
"""Swapped blocks that are on the device at once."""
RESERVE = 0.9e9
"""Bytes of a card that a run does not get: what its driver and its libraries hold, and gaps between tensors."""
_HALF, _FULL = 2, 4


@dataclass(frozen=True)
class Memory:
    """Bytes by what holds them while it learns; a training adapter's are among those of `adapter`. `host` are those of
    swapped blocks and of text encoders that went away, which lie outside the device. `reading`: all that is there while
    text encoders read, before the first step, where they are away after it; else 0."""

    denoiser: int
    text: int
    vae: int
    activations: int
    adapter: int
    gradients: int
    optimizer: int
    host: int
    reading: int = 0

    @property
    def total(self) -> int:
        """On the device, at the most."""
        parts = (self.denoiser, self.text, self.vae, self.activations, self.adapter, self.gradients, self.optimizer)
        return max(sum(parts), self.reading)

    def as_json(self) -> dict[str, int]:
        return asdict(self)


def memory_of(recipe: Recipe, pixels: float) -> Memory:
    """Of a recipe whose largest bucket has so many pixels; where the machine will choose the base's precision, in
    fp32."""
    counts, number = recipe.cost.counts, _HALF if recipe.precision in ("bf16", "fp16") else _FULL
    small = recipe.weights != "full"
    denoiser = _weights(counts.denoiser, counts.small_denoiser if small else 0, number)
    away = _away(recipe, counts, 1 if small else number)
    learned = adapter_parameters(recipe)
    text, vae = _weights(counts.text, counts.small_text if small else 0, number), counts.vae * number
    return Memory(
        denoiser=int(denoiser - away),
        text=0 if recipe.caches_text else int(text),
        vae=int(vae),
        activations=int(_activations(recipe, counts, pixels) * number / _HALF),
        adapter=_FULL * (learned + recipe.helper_numbers),
        gradients=_FULL * learned,
        optimizer=remembered_bytes(recipe) * learned,
        host=int(away + (text if recipe.caches_text else 0)),
        reading=int(text + vae + (denoiser - away if recipe.preserve.draws else 0)) if recipe.caches_text else 0,
    )


def _weights(numbers: float, small: float, number: int) -> float:
    return (numbers - small) * number + small


def _away(recipe: Recipe, counts: Counts, number: int) -> float:
    """Bytes of swapped blocks less those that are on the device."""
    swapped = min(recipe.blocks_to_swap, counts.blocks)
    return max(0, swapped - KEPT_THERE) / counts.blocks * counts.block_weights * number if swapped else 0.0


def _activations(recipe: Recipe, counts: Counts, pixels: float) -> float:
    """Of a micro-batch, in half precision."""
    rows = recipe.batch_size + preserved_rows(recipe, recipe.batch_size)
    kept = counts.inputs.of(pixels) + counts.largest.of(pixels) if recipe.checkpointing else counts.kept.of(pixels)
    return rows * kept * (CONV_MEMORY if recipe.conv.rank else 1)


def estimate_memory(recipe: Recipe, pixels: float) -> int:
    """Bytes on the device of weights, activations of one micro-batch, and the adapter with gradients and optimizer."""
    return memory_of(recipe, pixels).total


@dataclass(frozen=True)
class Fit:
    """Whether a run fits a card of so many bytes, and the keys with values that make it fit (None: none do)."""

    card: int
    fits: bool
    switches: dict[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def how_it_fits(recipe: Recipe, pixels: float, card: int | None) -> Fit | None:
    """On a card of so many bytes; None where that is not known."""
    if card is None:
        return None
    return Fit(card, fits(recipe, pixels, card), nearest_switches(recipe, pixels, card))


def fits(recipe: Recipe, pixels: float, card: float) -> bool:
    """Whether a run fits a card of so many bytes."""
    return memory_of(recipe, pixels).total + RESERVE <= card


def nearest_switches(recipe: Recipe, pixels: float, card: float) -> dict[str, Any] | None:
    """The keys, with values, that make a run fit: the fewest of them, those first that cost the least time and change
    nothing; none where it fits as it is. None where nothing does."""
    for keys in _switches(recipe):
        changed = recipe.model_copy(update=keys)
        if fits(changed, pixels, card):
            return keys
        blocks = changed.cost.counts.blocks
        if not changed.checkpointing or not blocks:
            continue
        swapping = (changed.model_copy(update={"blocks_to_swap": count}) for count in range(KEPT_THERE + 1, blocks + 1))
        enough = next((each.blocks_to_swap for each in swapping if fits(each, pixels, card)), None)
        if enough is not None:
            return {**keys, "blocks_to_swap": enough}
    return None


def _switches(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """One after another, each with those before it."""
    keys: dict[str, Any] = {}
    yield dict(keys)
    wanted: tuple[tuple[bool, dict[str, Any]], ...] = (
        (recipe.text_is_fixed and not recipe.caches_text, {"cache_text_encoder_outputs": True}),
        (recipe.precision in ("auto", "fp32"), {"precision": "bf16"}),
        (not recipe.checkpointing, {"checkpointing": True}),
        (recipe.weights == "full", {"weights": "int8"}),
        (recipe.batch_size > 1, {"batch_size": 1, "accumulate": recipe.accumulate * recipe.batch_size}),
    )
    for helps, switch in wanted:
        if helps:
            keys |= switch
            yield dict(keys)


def detected_card() -> int | None:
    """Bytes of the first GPU's memory, as its driver's own tool tells; None without one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.split()
        return int(told[0]) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
