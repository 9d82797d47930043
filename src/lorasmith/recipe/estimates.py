"""What a run will cost in seconds and bytes, before it runs.

Time is work times pace. Work is counted in row-pixels: what a pixel of a row costs that a plain LoRA of rank 8 learns,
forward and backward; all else that a run does is worth so many of these. The pace comes from the last run or rehearsal
on this machine; without one, from arithmetic per family and a cautious guess of the processor's speed. Disk is
arithmetic; memory: `recipe.memory`. Estimates, not promises.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.recipe.recipe import Recipe
from lorasmith.storage.files import write_file

FLOPS_PER_CORE = 2.5e10
"""A common processor core in float32, half of what its data sheet says."""
PASSES = 3
"""One forward and one backward pass cost about three forwards."""


FORWARD = 0.36
"""A row through the bare base, without a gradient."""
RANK = 8
GUIDED_ROWS = 2
"""Rows of a sampling step with guidance."""
VALIDATION_ROWS = 4
"""Rows on which a held-out image is judged."""
START_SECONDS = 10.0
"""Opening the program and the libraries, reading a small base, writing the adapter."""
CLOSING = 0.05
"""Writing the adapter and leaving, as a part of what opening took."""
READING = 4e8
"""Bytes of weights that are read in a second, with their content hash."""


CHECKPOINTING_TIME, CHECKPOINTING_FIXED_TIME = 4 / 3, 2.5
"""One more forward pass."""


def preserved_rows(recipe: Recipe, rows: int) -> int:
    """Rows that are added to `rows` to preserve the base."""
    table = recipe.preserve
    return 0 if table.kind == "none" or not table.weight else math.ceil(table.share * rows)


def work_per_step(recipe: Recipe, rows: int, pixels: float) -> float:
    """Row-pixels of a micro-batch of `rows` images of `pixels` each: of its rows, of the rows that preserve the base
    with their pass through the bare base, and of what does not depend on rows; by algorithm, rank and switches."""
    family, algorithm = recipe.cost, ALGORITHMS[recipe.algorithm].cost
    time, fixed = algorithm.conv_time if recipe.conv.rank else algorithm.time, family.fixed * algorithm.fixed_time
    if recipe.conv.rank and algorithm.thin_convolutions:
        time *= family.conv
    time *= 1 + family.per_rank * algorithm.per_rank * (recipe.rank - RANK)
    if recipe.dora:
        over = ALGORITHMS["dora"].cost
        time, fixed = time * over.time * family.dora, fixed * over.fixed_time
    if recipe.checkpointing:
        time, fixed = time * CHECKPOINTING_TIME, fixed * CHECKPOINTING_FIXED_TIME
    preserved = preserved_rows(recipe, rows)
    bare = 0 if recipe.preserve.kind == "images" or not preserved else preserved * pixels + family.fixed / 2
    text = family.text if recipe.trains_text else 0
    return time * (rows + preserved) * pixels + fixed + (rows + preserved) * text + FORWARD * bare


def drawing_work(recipe: Recipe, pictures: int, steps: int, pixels: float) -> float:
    """Row-pixels of drawing so many pictures in so many steps with guidance."""
    family = recipe.cost
    return pictures * pixels * (FORWARD * GUIDED_ROWS * steps + family.encoding)


def encoding_work(recipe: Recipe, pixels: float) -> float:
    """Row-pixels of latents of so many pixels in all, mirrored ones counted in when the recipe mirrors."""
    return recipe.cost.encoding * pixels * (2 if recipe.flip else 1)


def validation_work(images: int, pixels: float) -> float:
    """Row-pixels of judging so many held-out images once."""
    return FORWARD * VALIDATION_ROWS * images * pixels


def start_seconds(recipe: Recipe, opening: float | None = None) -> float:
    """Seconds before and after the work: opening, reading the base, writing the adapter; `opening` as `read_opening`
    gives it."""
    if opening is not None:
        return opening * (1 + CLOSING)
    return START_SECONDS + recipe.cost.weight_bytes / READING


def estimate_seconds(recipe: Recipe, work: float, pace: float | None) -> float:
    """Seconds of `work` row-pixels (see `work_per_step`); `pace` is in seconds per row-pixel."""
    if pace is None:
        cores = os.cpu_count() or 1
        pace = recipe.cost.flops_per_pixel * PASSES / (FLOPS_PER_CORE * cores)
    return work * pace


def adapter_parameters(recipe: Recipe) -> int:
    """About how many parameters the adapter has (convolutions, filters and blocks are not counted)."""
    cost, algorithm = recipe.cost, ALGORITHMS[recipe.algorithm].cost
    widths = (cost.unet_per_rank if recipe.lr.unet else 0) + (cost.text_per_rank if recipe.trains_text else 0)
    fixed = algorithm.fixed + (ALGORITHMS["dora"].cost.fixed if recipe.dora else 0)
    return int(widths * (algorithm.per_rank * recipe.rank + fixed))


def estimate_disk(recipe: Recipe, snapshots: int) -> int:
    """Bytes a run writes: its snapshots in 16 bits and the state to resume from."""
    kept = min(snapshots, recipe.keep_last) if recipe.keep_last else snapshots
    return adapter_parameters(recipe) * (2 * (kept + 1) + 4 + remembered_bytes(recipe))


def remembered_bytes(recipe: Recipe) -> int:
    """Bytes that the optimizer, and a mean of the factors, keep for a parameter."""
    return OPTIMIZERS[recipe.optimizer.name].remembers + (0 if recipe.average.kind == "none" else 4)


def read_pace(cache: Path, recipe: Recipe) -> float | None:
    """Seconds per row-pixel of the last run or rehearsal on this base in these numbers, if possible of one with this
    algorithm and these switches; None where there was none."""
    return _read_seconds(cache, _pace_name(recipe), _base_name(recipe))


def knows_pace(cache: Path, recipe: Recipe) -> bool:
    """Whether the pace is that of a recipe with this algorithm and these switches; else it is told less exactly."""
    return _pace_name(recipe) in _read_paces(cache)


def _read_paces(cache: Path) -> dict[str, object]:
    try:
        paces = json.loads((cache / "pace.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return paces if isinstance(paces, dict) else {}


def _read_seconds(cache: Path, *names: str) -> float | None:
    """What is remembered under the first of these names that has anything."""
    paces = _read_paces(cache)
    found = (paces.get(name) for name in names)
    return next((float(seconds) for seconds in found if isinstance(seconds, int | float) and seconds > 0), None)


def write_pace(cache: Path, recipe: Recipe, pace: float, opening: float | None = None) -> None:
    """Remember the pace of a run for the next plan, by its base and the numbers that this computes in; and how long
    `opening` the program and the base took, where that was seen."""
    paces = _read_paces(cache) | {_pace_name(recipe): pace, _base_name(recipe): pace}
    if opening is not None:
        paces[_opening_name(recipe)] = opening
    write_file(cache / "pace.json", json.dumps(paces, indent=1))


def read_opening(cache: Path, recipe: Recipe) -> float | None:
    """Seconds that the last rehearsal took from the start of its process to an open base, of this base in these
    numbers; None where there was none."""
    return _read_seconds(cache, _opening_name(recipe))


def _opening_name(recipe: Recipe) -> str:
    return f"opening {_base_name(recipe)}"


def _base_name(recipe: Recipe) -> str:
    return f"{recipe.base} {recipe.precision} {recipe.weights}"


def _pace_name(recipe: Recipe) -> str:
    switches = {"dora": recipe.dora, "conv": recipe.conv.rank, "checkpointing": recipe.checkpointing}
    return " ".join((_base_name(recipe), recipe.algorithm, *(name for name, on in switches.items() if on)))
