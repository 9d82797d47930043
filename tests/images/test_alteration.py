"""Altered copies, pixel by pixel."""

from __future__ import annotations

import json
import math

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lorasmith.images.alteration import (
    COLOURS,
    OPERATIONS,
    Operation,
    alter,
    apply,
    choose_parameters,
    inscribed_size,
)
from tests.images.drawings import draw

SIZES = ((96, 96), (60, 140), (151, 73))


def pixels(image: Image.Image) -> npt.NDArray[np.int16]:
    return np.asarray(image, dtype=np.int16)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_a_seed_is_a_picture(operation: Operation, size: tuple[int, int]) -> None:
    image = draw(3, size)
    before = image.tobytes()
    one, again = alter(image, operation, 5), alter(image, operation, 5)
    assert one.image.tobytes() == again.image.tobytes()
    assert one.image.mode == "RGB"
    assert one.image.tobytes() != before
    assert image.tobytes() == before
    stored = json.loads(json.dumps(dict(one.parameters)))
    assert apply(image, operation, stored).tobytes() == one.image.tobytes(), "stored parameters make it again"


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"flip", "grayscale"}))
def test_other_seeds_are_other_pictures(operation: Operation) -> None:
    image = draw(3, (96, 120))
    assert len({alter(image, operation, seed).image.tobytes() for seed in range(8)}) > 2


@pytest.mark.parametrize("operation", ["crop", "aspect"])
@pytest.mark.parametrize("size", SIZES)
def test_cuts_are_the_very_pixels(operation: Operation, size: tuple[int, int]) -> None:
    image = draw(4, size)
    for seed in range(12):
        altered = alter(image, operation, seed)
        left, top, right, bottom = altered.parameters["box"]
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        assert np.array_equal(pixels(altered.image), pixels(image)[top:bottom, left:right])
        if operation == "crop":
            share = (right - left) * (bottom - top) / (size[0] * size[1])
            assert 0.5 < share < 0.8
        else:
            across, down = (int(part) for part in altered.parameters["ratio"].split(":"))
            assert (right - left) / (bottom - top) == pytest.approx(across / down, rel=0.05)
            assert abs(math.log((right - left) / (bottom - top) / (size[0] / size[1]))) > 0.1


def test_flip_and_grayscale() -> None:
    image = draw(5, (40, 30))
    assert np.array_equal(pixels(alter(image, "flip", 0).image), pixels(image)[:, ::-1])
    grey = pixels(alter(image, "grayscale", 0).image)
    assert np.array_equal(grey[..., 0], grey[..., 1])
    assert np.array_equal(grey[..., 0], grey[..., 2])
    luma = pixels(image) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey[..., 0] - luma).max() <= 1


def test_an_overlay_is_so_much_of_a_colour() -> None:
    image = draw(6, (50, 50))
    altered = alter(image, "overlay", 2)
    strength = altered.parameters["strength"]
    colour = np.array(COLOURS[altered.parameters["colour"]])
    expected = (1 - strength) * pixels(image) + strength * colour
    assert np.abs(pixels(altered.image) - expected).max() <= 1


@pytest.mark.parametrize("size", SIZES)
def test_a_turned_picture_has_no_empty_corner(size: tuple[int, int]) -> None:
    white = Image.new("RGB", size, "white")
    for seed in range(20):
        altered = alter(white, "rotate", seed)
        assert pixels(altered.image).min() == 255, altered.parameters
        assert 7 <= abs(altered.parameters["degrees"]) <= 16
        assert altered.image.width / altered.image.height == pytest.approx(size[0] / size[1], rel=0.08)


def test_the_inscribed_box_is_the_largest() -> None:
    """Turned back, its corners touch the picture's edge, less the two pixels of the rim."""
    size, degrees = (200, 120), 12.0
    width, height = inscribed_size(size, degrees)
    turn = math.radians(degrees)
    reach = [
        (abs(x * math.cos(turn) - y * math.sin(turn)), abs(x * math.sin(turn) + y * math.cos(turn)))
        for x, y in ((width / 2, height / 2), (width / 2, -height / 2))
    ]
    assert max(x for x, _ in reach) <= 100
    assert max(y for _, y in reach) <= 60
    assert max(x for x, _ in reach) > 97 or max(y for _, y in reach) > 57


def test_enhancing_spreads_and_quality_blurs() -> None:
    image = draw(7, (128, 128)).convert("RGB")
    muted = Image.blend(image, Image.new("RGB", image.size, (128, 120, 110)), 0.5)
    saturation = [np.ptp(pixels(picture), axis=2).mean() for picture in (muted, alter(muted, "enhance", 1).image)]
    assert saturation[1] > 1.2 * saturation[0]
    spoiled = alter(image, "quality", 1).image
    assert spoiled.size == image.size
    assert 2 < np.abs(pixels(spoiled) - pixels(image)).mean() < 60


def test_parameters_are_a_function_of_operation_size_and_seed() -> None:
    assert choose_parameters("crop", (100, 80), 1) == choose_parameters("crop", (100, 80), 1)
    assert choose_parameters("crop", (100, 80), 1) != choose_parameters("crop", (100, 80), 2)
    assert choose_parameters("rotate", (100, 80), 1) != choose_parameters("rotate", (80, 100), 1)
