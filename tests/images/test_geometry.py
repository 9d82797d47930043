"""Resize and cut from the middle."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lorasmith.images.geometry import fit
from tests.images.drawings import draw


def test_the_middle_is_kept() -> None:
    image = Image.new("RGB", (101, 10), "white")
    image.paste("black", (18, 0, 82, 10))  # trim 37 of the width: 18 left, 19 right
    cut = fit(image, (101, 10), (64, 10))
    assert cut.size == (64, 10)
    assert not np.asarray(cut).any()


def test_nothing_changes_when_it_fits() -> None:
    image = draw(1, (64, 64))
    assert fit(image, (64, 64), (64, 64)).tobytes() == image.tobytes()


def test_shrinking_takes_the_mean_of_the_area() -> None:
    image = Image.fromarray(np.tile(np.array([[0, 100]], np.uint8), (8, 4)))
    assert set(np.asarray(fit(image, (4, 4), (4, 4))).reshape(-1).tolist()) == {50}


def test_a_bucket_that_is_not_covered_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="does not cover"):
        fit(draw(1, (64, 64)), (64, 32), (64, 64))
