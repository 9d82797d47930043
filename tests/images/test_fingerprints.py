"""Hashes, the second look, and sharpness, on altered copies and on different pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from lorasmith.images.fingerprints import (
    HASH_DISTANCE,
    Look,
    fingerprint,
    hash_both_ways,
    look,
    looks_same,
    reblur_ratio,
)
from tests.images.drawings import draw

SEEDS = range(40)


def as_jpeg(image: Image.Image, quality: int = 40) -> Image.Image:
    store = io.BytesIO()
    image.save(store, "JPEG", quality=quality)
    return Image.open(store).convert("RGB")


def halved(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def look_of(image: Image.Image) -> Look:
    return np.asarray(image.resize((64, 64), Image.Resampling.BOX))


@pytest.mark.parametrize("alter", [as_jpeg, halved, ImageOps.grayscale])
def test_hash_survives_alterations(alter: object) -> None:
    assert callable(alter)
    for seed in SEEDS:
        image = draw(seed)
        one, _ = hash_both_ways(image.convert("L"))
        two, _ = hash_both_ways(alter(image).convert("L"))
        assert (one ^ two).bit_count() <= HASH_DISTANCE, seed


def test_mirrored_hash_is_the_hash_of_the_mirror_image() -> None:
    for seed in SEEDS:
        image = draw(seed).convert("L")
        plain, mirrored = hash_both_ways(image)
        assert (hash_both_ways(ImageOps.mirror(image))[0] ^ mirrored).bit_count() <= 2
        assert (plain ^ mirrored).bit_count() > HASH_DISTANCE, f"drawing {seed} is no symmetric one"


def test_hash_against_a_slow_transform() -> None:
    """The matrix form agrees with the cosine sums of the definition."""
    small = np.asarray(draw(5).convert("L").resize((32, 32), Image.Resampling.BOX), dtype=np.float64)
    waves = np.zeros((8, 8))
    for u in range(8):
        for v in range(8):
            for y in range(32):
                row = np.cos(np.pi * v * (2 * np.arange(32) + 1) / 64)
                waves[u, v] += np.cos(np.pi * u * (2 * y + 1) / 64) * float((small[y] * row).sum())
    expected = "".join("1" if wave > np.median(waves) else "0" for wave in waves.reshape(-1))
    assert f"{hash_both_ways(draw(5).convert('L'))[0]:064b}" == expected


def test_second_look_knows_copies_and_tells_small_changes() -> None:
    for seed in SEEDS:
        image = draw(seed)
        assert looks_same(look_of(image), look_of(as_jpeg(image)))
        assert looks_same(look_of(image), look_of(halved(image)))
        changed = image.copy()
        middle = image.getpixel((128, 128))
        assert isinstance(middle, tuple)
        changed.paste("black" if sum(middle) > 380 else "white", (112, 112, 144, 144))  # as small as an eye
        assert not looks_same(look_of(image), look_of(changed)), seed


def test_reblur_ratio_orders_sharp_enlarged_and_blurred() -> None:
    for seed in SEEDS:
        sharp = draw(seed, (512, 512))
        blurred = sharp.filter(ImageFilter.GaussianBlur(3))
        ratios = [reblur_ratio(np.asarray(image.convert("L"), dtype=np.float64)) for image in (sharp, blurred)]
        assert ratios[0] < 0.05 < 0.2 < ratios[1], (seed, ratios)


def test_a_blank_or_tiny_picture_is_not_blurred() -> None:
    assert reblur_ratio(np.full((64, 64), 7.0)) == 0.0
    assert reblur_ratio(np.eye(5)) == 0.0


def test_fingerprint_and_look_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    draw(2, (300, 200)).save(file)
    made = fingerprint(file)
    assert made.phash == hash_both_ways(draw(2, (300, 200)).convert("L"))[0]
    assert made.blur < 0.05
    assert look(file).shape == (64, 64, 3)
