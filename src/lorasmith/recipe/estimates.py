"""What a run will cost in seconds and bytes, before it runs.

Time comes from the last run's measured pace on this machine; without one, from arithmetic per family and a cautious
guess of the processor's speed. Memory and disk are arithmetic. Estimates, not promises.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lorasmith.project import write_file
from lorasmith.recipe.family import family_of
from lorasmith.recipe.recipe import Recipe

FLOPS_PER_CORE = 2.5e10
"""A common processor core in float32, half of what its data sheet says."""
PASSES = 3
"""One forward and one backward pass cost about three forwards."""


@dataclass(frozen=True)
class FamilyCost:
    """Per family: floating-point operations of a forward pass per pixel; bytes of the float32 weights; bytes of
    saved activations per pixel and row; adapter parameters per rank of the denoiser and of the text encoders."""

    flops_per_pixel: float
    weight_bytes: float
    activation_bytes_per_pixel: float
    unet_per_rank: int
    text_per_rank: int


FAMILY_COSTS: Mapping[str, FamilyCost] = {
    "doodle": FamilyCost(4e4, 4.5e7, 3e3, 32_000, 9_600),
    "sd1": FamilyCost(2.6e6, 4.3e9, 1.6e4, 424_000, 166_000),
    "sd2": FamilyCost(2.6e6, 5.2e9, 1.6e4, 430_000, 440_000),
    "sdxl": FamilyCost(5.7e6, 1.4e10, 1.8e4, 2_600_000, 903_000),
}


def work_per_step(recipe: Recipe, rows: float, pixels: float) -> float:
    """Row-pixels of a step, preserved rows counted with their extra forward pass."""
    share = 0.0 if recipe.preserve.kind == "none" else recipe.preserve.share
    return rows * (1 + share * (PASSES + 1) / PASSES) * pixels


def estimate_seconds(recipe: Recipe, work: float, pace: float | None) -> float:
    """Seconds of `work` row-pixels (see `work_per_step`); `pace` is in seconds per row-pixel."""
    if pace is None:
        cores = os.cpu_count() or 1
        pace = FAMILY_COSTS[family_of(recipe.base)].flops_per_pixel * PASSES / (FLOPS_PER_CORE * cores)
    return work * pace


def adapter_parameters(recipe: Recipe) -> int:
    """About how many parameters the adapter has (convolutions are not counted)."""
    cost = FAMILY_COSTS[family_of(recipe.base)]
    unet = cost.unet_per_rank if recipe.lr.unet else 0
    return recipe.rank * (unet + (cost.text_per_rank if recipe.lr.text_encoder else 0))


def estimate_memory(recipe: Recipe, pixels: float) -> int:
    """Bytes of weights, activations of one micro-batch, and the adapter with its optimizer state in float32."""
    cost = FAMILY_COSTS[family_of(recipe.base)]
    activations = work_per_step(recipe, recipe.batch_size, pixels) * cost.activation_bytes_per_pixel
    return int(cost.weight_bytes + activations + 16 * adapter_parameters(recipe))


def estimate_disk(recipe: Recipe, snapshots: int) -> int:
    """Bytes a run writes: its snapshots in 16 bits and the state to resume from."""
    return adapter_parameters(recipe) * (2 * (snapshots + 1) + 12)


def read_pace(cache: Path, base: str) -> float | None:
    """Seconds per row-pixel of the last run on this base, or None."""
    try:
        pace = json.loads((cache / "pace.json").read_text("utf-8"))[base]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(pace) if isinstance(pace, int | float) and pace > 0 else None


def write_pace(cache: Path, base: str, pace: float) -> None:
    """Remember the pace of a run for the next plan."""
    file = cache / "pace.json"
    try:
        paces = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        paces = {}
    paces = paces if isinstance(paces, dict) else {}
    write_file(file, json.dumps(paces | {base: pace}, indent=1))
