"""Copies are found, likeness is not called copying."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lorasmith.exam.copying import find_copies, thumbnail


def _pictures(count: int, seed: int) -> list[Image.Image]:
    random = np.random.default_rng(seed)
    return [Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(count)]


def test_repeated_training_images_are_copies() -> None:
    training = [thumbnail(image) for image in _pictures(30, 1)]
    fresh = [thumbnail(image) for image in _pictures(30, 2)]
    copying = find_copies(training[:15] + fresh, training)
    assert copying.nearest[:15] == tuple(range(15))
    assert copying.distances[:15] == pytest.approx((0.0,) * 15, abs=1e-6)
    assert 0.25 < copying.figure.value < 0.4
    assert copying.figure.low > 0


def test_independent_pictures_are_none() -> None:
    training = [thumbnail(image) for image in _pictures(30, 1)]
    assert find_copies([thumbnail(image) for image in _pictures(100, 3)], training).figure.low == 0.0


def test_clones_in_the_training_set_do_not_hide_copies() -> None:
    one = [thumbnail(image) for image in _pictures(20, 1)]
    copying = find_copies(one[:5], one + one)
    assert copying.distance > 0.1
    assert copying.figure.value > 0.9


def test_two_training_images_tell_nothing() -> None:
    two = [thumbnail(image) for image in _pictures(2, 1)]
    assert find_copies(two, two).figure.n == 0
