"""The line between what is like the training images and what the bare base draws of the same words, found per exam.

A ridge classifier on standardised features (kernel form, Saunders et al. 1998) with its leave-one-out scores in closed
form, `y_i - a_i / (K + R)^-1_ii` (Cawley & Talbot 2003). Shapes: vectors (n, d) float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lorasmith.exam.figures import Z_95, Figure

#: Fewer of either kind tell nothing.
LEAST = 5
#: It judges where even the lower end of its AUC is as good as this.
SEPARATES = 0.75
#: The share of the training images themselves that may fall below the line: 5 %.
ONE_SIDED_95 = 1.6448536269514722
#: The ridge: at 0.1 leave-one-out scores of a few dozen pictures run wild, above 3 the line no longer sees
#: a single trait that is missing (docs/exam.md).
RIDGE = 1.0
#: Training images on the base's side of the middle (another person, a spoiled one) do not draw the line, as long as so
#: many others are left.
SOUND = 0.7
#: How far the line gives way towards the middle: a drawn picture has a grain that a training image has not, and a view
#: of which few images are (a close-up) scores lower (docs/exam.md, Against truth).
GRACE = 0.6

Vectors = NDArray[np.float32]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Likeness:
    """What calibration found. A picture is like the training images from `threshold` on, and resembles them from
    `midway` on (a picture of something new, that no training image shows). `auc`: how well the two were told apart,
    by leave-one-out; `n` of it is the smaller of the two counts."""

    auc: Figure
    threshold: float
    midway: float
    direction: Scores
    mean: Scores
    scale: Scores
    offset: float
    training: int
    base: int

    @property
    def judges(self) -> bool:
        """Whether it can be believed at all; else it abstains."""
        return self.auc.n >= LEAST and self.auc.low >= SEPARATES

    def scores(self, vectors: Vectors) -> Scores:
        """About 1 for what is like the training images, about -1 for what the base draws."""
        found: Scores = (vectors.astype(np.float64) - self.mean) / self.scale @ self.direction + self.offset
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "judges": self.judges,
            "auc": self.auc.as_json(),
            "threshold": round(self.threshold, 4) if math.isfinite(self.threshold) else None,
            "training": self.training,
            "base": self.base,
        }


@dataclass(frozen=True)
class Line:
    """A direction in standardised features: about 1 for what is like the first kind, about -1 for the second."""

    direction: Scores
    mean: Scores
    scale: Scores

    def scores(self, vectors: Vectors) -> Scores:
        found: Scores = (vectors.astype(np.float64) - self.mean) / self.scale @ self.direction
        return found


NOBODY = Likeness(Figure(0.5, 0.0, 1.0, 0), math.inf, math.inf, np.zeros(0), np.zeros(0), np.ones(0), 0.0, 0, 0)
"""Without an encoder, or with too few pictures, nobody judges."""


def calibrate(training: Vectors, base: Vectors) -> Likeness:
    """Learn to tell `training` from `base`; the threshold lets 95 % of the training images pass, each judged by the
    others, with some GRACE, and no more than 5 % of the base's pictures."""
    if min(len(training), len(base)) < LEAST:
        return NOBODY
    found, ours, theirs = fit_line(training, base)
    middle = float(ours.mean() + theirs.mean()) / 2
    sound = ours[ours > middle] if (ours > middle).mean() >= SOUND else ours
    line = float(sound.mean() - ONE_SIDED_95 * sound.std(ddof=1))
    line -= GRACE * max(0.0, line - middle)
    return Likeness(
        auc=find_auc(ours, theirs),
        threshold=max(line, float(np.quantile(theirs, 0.95))),
        midway=middle,
        direction=found.direction,
        mean=found.mean,
        scale=found.scale,
        offset=0.0,
        training=len(training),
        base=len(base),
    )


def fit_line(ours: Vectors, theirs: Vectors) -> tuple[Line, Scores, Scores]:
    """The line between two kinds, and the scores of each, every row judged by a line that was found without it."""
    stacked = np.concatenate([ours, theirs]).astype(np.float64)
    mean = stacked.mean(0)
    spread = stacked.std(0)
    scale = (spread + 1e-3 * float(spread.mean()) + 1e-12) * math.sqrt(stacked.shape[1])
    rows = (stacked - mean) / scale
    wanted = np.concatenate([np.ones(len(ours)), -np.ones(len(theirs))])
    # Both kinds count alike, however many there are of each.
    weight = np.where(wanted > 0, len(wanted) / 2 / len(ours), len(wanted) / 2 / len(theirs))
    inverse = np.linalg.inv(rows @ rows.T + np.diag(RIDGE / weight))
    alpha = inverse @ wanted
    own = wanted - alpha / np.diag(inverse)
    return Line(rows.T @ alpha, mean, scale), own[: len(ours)], own[len(ours) :]


def find_auc(ours: Sequence[float] | Scores, theirs: Sequence[float] | Scores) -> Figure:
    """The chance that a training image scores above a picture of the base (ties count half), with the interval of
    Hanley & McNeil 1982 on the logit scale; one half of a pair is taken off, so that 1 is never certain."""
    a, b = np.asarray(ours), np.asarray(theirs)
    pairs = len(a) * len(b)
    wins = float((a[:, None] > b[None]).sum() + 0.5 * (a[:, None] == b[None]).sum())
    value = wins / pairs
    centre = min(max((wins + 0.5) / (pairs + 1), 0.5 / (pairs + 1)), 1 - 0.5 / (min(len(a), len(b)) + 1))
    q1, q2 = centre / (2 - centre), 2 * centre * centre / (1 + centre)
    spread = centre * (1 - centre) + (len(a) - 1) * (q1 - centre**2) + (len(b) - 1) * (q2 - centre**2)
    half = Z_95 * math.sqrt(max(spread, 0.0) / pairs) / (centre * (1 - centre))
    logit = math.log(centre / (1 - centre))
    low, high = (1 / (1 + math.exp(-(logit + sign * half))) for sign in (-1, 1))
    return Figure(value, min(low, value), max(high, value), min(len(a), len(b)))
