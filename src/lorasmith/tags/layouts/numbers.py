"""What several layouts do to colours and to what comes out of a model."""

from __future__ import annotations

import numpy as np

from lorasmith.tags.layouts.layout import Array


def standardised(batch: Array, mean: tuple[float, float, float], deviation: tuple[float, float, float]) -> Array:
    """(images, side, side, BGR) in 0..255 as (images, RGB, side, side), by `mean` and `deviation` of values in 0..1."""
    scaled = (batch[:, :, :, ::-1] / 255 - np.array(mean, np.float32)) / np.array(deviation, np.float32)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), dtype=np.float32)


def probabilities(logits: Array) -> Array:
    """0..1 of logits."""
    scores: Array = (1 / (1 + np.exp(-np.clip(logits, -80, 80)))).astype(np.float32)
    return scores
