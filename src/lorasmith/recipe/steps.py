"""Steps arithmetic: images, repeats, buckets, batches, accumulation (R1, R7), as kohya counts them.

An image stands `repeats` times in its bucket; batches never mix buckets; a partial batch is kept; the end of an
epoch forces an optimizer step. Flipped copies do not change any count (R1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

MAX_FACTOR = 100_000


def ceil_div(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)


def batches_per_epoch(rows_per_bucket: Sequence[int], batch_size: int) -> int:
    """Batches of one epoch, given each bucket's images x repeats."""
    return sum(ceil_div(rows, batch_size) for rows in rows_per_bucket)


def steps_per_epoch(rows_per_bucket: Sequence[int], batch_size: int, accumulate: int) -> int:
    """Optimizer steps of one epoch."""
    return ceil_div(batches_per_epoch(rows_per_bucket, batch_size), accumulate)


@dataclass(frozen=True)
class Length:
    """How long a run is. Every folder's repeats are multiplied by `factor`, which keeps their balance (D16)."""

    factor: int
    steps_per_epoch: int
    epochs: int
    steps: int


def solve_length(
    rows_per_bucket: Mapping[tuple[int, int], int],
    *,
    batch_size: int,
    accumulate: int,
    epochs: int | None,
    target_steps: int | None,
) -> Length:
    """The length of a run. Who wins when both `epochs` and `target_steps` are given: they work together.

    - `epochs` alone: that many epochs of the folders' own repeats.
    - `target_steps` alone: exactly that many steps; the last epoch may stay incomplete.
    - both: `epochs` stands, and repeats are multiplied by the whole factor that brings the steps closest to
      `target_steps` (R7; of equals the longer, R2: when in doubt overshoot). Should even a factor of one be
      too long, `target_steps` ends the run early.
    """
    rows = list(rows_per_bucket.values())

    def per_epoch(factor: int) -> int:
        return steps_per_epoch([factor * count for count in rows], batch_size, accumulate)

    if target_steps is None:
        assert epochs is not None
        return Length(1, per_epoch(1), epochs, epochs * per_epoch(1))
    if epochs is None:
        return Length(1, per_epoch(1), ceil_div(target_steps, per_epoch(1)), target_steps)
    factor = _closest_factor(per_epoch, epochs, target_steps)
    steps = epochs * per_epoch(factor)
    if factor == 1 and steps > target_steps:
        return Length(1, per_epoch(1), ceil_div(target_steps, per_epoch(1)), target_steps)
    return Length(factor, per_epoch(factor), epochs, steps)


def _closest_factor(per_epoch: Callable[[int], int], epochs: int, target: int) -> int:
    """The factor whose steps come closest to the target; steps grow with the factor, so a bisection finds it."""
    low, high = 1, 2
    while epochs * per_epoch(high) < target and high < MAX_FACTOR:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if epochs * per_epoch(middle) < target:
            low = middle
        else:
            high = middle
    return min((high, low), key=lambda factor: (abs(epochs * per_epoch(factor) - target), -factor))
