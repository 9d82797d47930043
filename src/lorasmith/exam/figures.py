"""A figure is a number with its 95 % interval and the count it rests on. Everything here is exact arithmetic.

Units: shares in [0, 1]. Sources: Wilson 1927 for shares; Efron 1979 (percentile bootstrap) for paired ratios.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The normal quantile of a two-sided 95 % interval.
Z_95 = 1.959963984540054
#: Bootstrap resamples; the interval's own noise is then below one point.
RESAMPLES = 2000


@dataclass(frozen=True)
class Figure:
    """A share (or a ratio of shares) with its 95 % interval; `n` is the number of pictures or pairs."""

    value: float
    low: float
    high: float
    n: int

    def as_json(self) -> dict[str, Any]:
        return {
            "value": round(self.value, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "n": self.n,
        }


def share(successes: Sequence[bool]) -> Figure:
    """The share of True with its Wilson interval; an empty sequence knows nothing: 0 in [0, 1] with n = 0."""
    return wilson(sum(map(bool, successes)), len(successes))


def wilson(successes: int, n: int) -> Figure:
    """The Wilson score interval: ``(p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)``."""
    if n == 0:
        return Figure(0.0, 0.0, 1.0, 0)
    p, zz = successes / n, Z_95 * Z_95
    centre = (p + zz / (2 * n)) / (1 + zz / n)
    half = Z_95 / (1 + zz / n) * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    # At 0 and n successes the bound is exactly p; rounding must not push it past.
    return Figure(p, 0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half, n)


def paired_ratio(successes: Sequence[bool], ceiling: Sequence[bool], seed: int = 0) -> Figure:
    """mean(successes) / mean(ceiling) over pairs, capped at 1, with a percentile bootstrap over pairs.

    A ceiling of zero (the base cannot do at all what is asked for) gives 0 in [0, 1] with n = 0: nothing measured.
    """
    if len(successes) != len(ceiling):
        raise ValueError(f"{len(successes)} successes for {len(ceiling)} ceilings")
    if not any(ceiling):
        return Figure(0.0, 0.0, 1.0, 0)
    done = np.asarray(successes, dtype=np.float64)
    able = np.asarray(ceiling, dtype=np.float64)
    picks = _resamples(len(done), seed)
    below = able[picks].mean(axis=1)
    ratios = np.divide(done[picks].mean(axis=1), below, out=np.zeros_like(below), where=below > 0)
    low, high = _middle_95(ratios)
    return Figure(min(1.0, float(done.mean() / able.mean())), min(1.0, low), min(1.0, high), len(done))


def excess(successes: Sequence[bool], chance: Sequence[bool]) -> Figure:
    """The share above chance, never below 0: Newcombe's 1998 hybrid interval of two independent Wilson shares."""
    found, expected = share(successes), share(chance)
    if found.n == 0 or expected.n == 0:
        return Figure(0.0, 0.0, 1.0, 0)
    difference = found.value - expected.value
    below = math.hypot(found.value - found.low, expected.high - expected.value)
    above = math.hypot(found.high - found.value, expected.value - expected.low)
    return Figure(max(0.0, difference), max(0.0, difference - below), max(0.0, difference + above), found.n)


def entropy_ratio(ours: Sequence[Sequence[object]], theirs: Sequence[Sequence[object]], seed: int = 0) -> Figure:
    """The summed entropy of the columns of `ours` over that of `theirs` (rows are pictures), with a bootstrap.

    Capped at 1. When `theirs` does not vary at all there is nothing to compare: n = 0.
    """
    if not ours or not theirs or _entropy(_codes(theirs)) <= 0:
        return Figure(0.0, 0.0, 1.0, 0)
    mine, other = _codes(ours), _codes(theirs)
    value = _entropy(mine) / _entropy(other)
    ratios = []
    for pick, peer in zip(_resamples(len(mine), seed, 200), _resamples(len(other), seed + 1, 200), strict=True):
        below = _entropy(other[peer])
        ratios.append(_entropy(mine[pick]) / below if below > 0 else 1.0)
    low, high = _middle_95(np.asarray(ratios))
    return Figure(min(1.0, value), min(1.0, low), min(1.0, high), len(ours))


def paired_difference(ours: Sequence[bool], theirs: Sequence[bool]) -> tuple[float, float, float]:
    """(mean, low, high) of the paired difference ours - theirs, by the normal interval of the differences.

    When no pair disagrees the interval is [0, 0]: the two are the same as far as these pictures tell.
    """
    differences = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    mean = float(differences.mean())
    half = Z_95 * float(differences.std(ddof=1)) / math.sqrt(len(differences)) if len(differences) > 1 else 1.0
    return mean, mean - half, mean + half


def _resamples(n: int, seed: int, count: int = RESAMPLES) -> NDArray[np.intp]:
    return np.random.default_rng(seed).integers(0, n, size=(count, n))


def _middle_95(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _codes(rows: Sequence[Sequence[object]]) -> NDArray[np.int64]:
    """Rows of values as small integers, column by column; (pictures, columns)."""
    columns = []
    for column in zip(*rows, strict=True):
        order = {value: code for code, value in enumerate(Counter(column))}
        columns.append([order[value] for value in column])
    return np.asarray(columns, dtype=np.int64).T.reshape(len(rows), -1)


def _entropy(codes: NDArray[np.int64]) -> float:
    total = 0.0
    for column in codes.T:
        p = np.bincount(column) / len(column)
        p = p[p > 0]
        total -= float((p * np.log(p)).sum())
    return total
