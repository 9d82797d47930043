"""Exposure: shares and spans of a histogram."""

from __future__ import annotations

from PIL import Image, ImageEnhance

from lorasmith.images.exposure import Exposure, measure_exposure
from tests.images.drawings import draw


def exposure_of(image: Image.Image) -> Exposure:
    return measure_exposure(image.convert("L").histogram())


def test_shares_of_a_known_picture() -> None:
    image = Image.new("L", (10, 10), 255)
    image.paste(10, (0, 0, 10, 3))
    image.paste(100, (0, 3, 10, 5))
    assert exposure_of(image) == Exposure(dark=0.3, bright=0.5, contrast=round(245 / 255, 4))


def test_a_single_grey_has_no_contrast() -> None:
    assert exposure_of(Image.new("RGB", (8, 8), (120, 120, 120))) == Exposure(0.0, 0.0, 0.0)


def test_one_odd_pixel_in_a_hundred_is_no_contrast() -> None:
    image = Image.new("L", (20, 20), 120)
    image.putpixel((3, 3), 255)
    image.putpixel((4, 4), 0)
    assert exposure_of(image).contrast == 0.0


def test_darkened_brightened_and_flattened_pictures_are_told_apart() -> None:
    for seed in range(20):
        image = draw(seed)
        plain = exposure_of(image)
        night = exposure_of(ImageEnhance.Brightness(image).enhance(0.15))
        flat = exposure_of(Image.blend(Image.new("RGB", image.size, (128, 128, 128)), image, 0.1))
        pale = exposure_of(Image.blend(Image.new("RGB", image.size, "white"), image, 0.15))
        assert night.dark > 0.95 > plain.dark, seed
        assert flat.contrast < 0.15 < plain.contrast, seed
        assert pale.bright > 0.95, seed
        assert pale.contrast < 0.2, seed
