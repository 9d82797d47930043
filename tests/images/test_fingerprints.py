"""Hashes, borders and sharpness, on altered copies and on different pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from lorasmith.images.fingerprints import (
    HASH_DISTANCE,
    WHOLE,
    content_box,
    fingerprint,
    hash_both_ways,
    take_fingerprint,
)
from lorasmith.images.sharpness import measure_blur
from tests.images.drawings import draw

SEEDS = range(40)


def as_jpeg(image: Image.Image, quality: int = 40) -> Image.Image:
    store = io.BytesIO()
    image.save(store, "JPEG", quality=quality)
    return Image.open(store).convert("RGB")


def halved(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


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
    least = np.median(waves) + 0.1 * np.abs(waves.reshape(-1)[1:]).mean()
    expected = "".join("1" if wave > least else "0" for wave in waves.reshape(-1))
    assert f"{hash_both_ways(draw(5).convert('L'))[0]:064b}" == expected


def test_reblur_ratio_orders_sharp_enlarged_and_blurred() -> None:
    for seed in SEEDS:
        sharp = draw(seed, (256, 256))
        small = sharp.resize((64, 64), Image.Resampling.BICUBIC)
        enlarged = small.resize((256, 256), Image.Resampling.BICUBIC)
        blurred = sharp.filter(ImageFilter.GaussianBlur(3))
        pale = Image.blend(sharp, Image.new("RGB", sharp.size, "white"), 0.5)
        ratios = [measure_blur(np.asarray(image.convert("L"))) for image in (sharp, pale, enlarged, blurred)]
        assert max(ratios[:2]) < 0.06 < 0.1 < ratios[2] < ratios[3], (seed, ratios)


def test_reblur_ratio_against_a_slow_blur() -> None:
    """Read at every pixel, by sums, the ratio is the same within the sampling."""
    grey = np.asarray(draw(3, (200, 160)).convert("L")).astype(np.float64)
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    weights = np.array([1, 8, 28, 56, 70, 56, 28, 8, 1]) / 256
    smooth = sum(
        weights[i] * weights[j] * edges[i : edges.shape[0] - 8 + i, j : edges.shape[1] - 8 + j]
        for i in range(9)
        for j in range(9)
    )
    assert measure_blur(grey.astype(np.uint8)) == pytest.approx(float(np.var(smooth) / edges.var()), rel=0.15)


def test_a_strong_blur_is_not_lost_in_rounding() -> None:
    for seed in SEEDS:
        blurred = draw(seed, (512, 512)).filter(ImageFilter.GaussianBlur(6))
        assert take_fingerprint(blurred).blur > 0.15, seed


def sky(glow: float, angle: float, clouds: int = 0) -> Image.Image:
    """A gradient with the glow of a sun, and `clouds` soft lights and darks along a side."""
    down, across = np.mgrid[0:384, 0:512] / 512
    light = 60 + 150 * (across * np.sin(angle) + down * np.cos(angle))
    light += glow * np.exp(-((across - 0.7) ** 2 + (down - 0.2) ** 2) / 0.02)
    if clouds:
        patches = np.random.default_rng(clouds).integers(-60, 61, (clouds, clouds)).astype(np.float32)
        light += np.asarray(Image.fromarray(patches).resize((512, 384), Image.Resampling.BICUBIC))
    return Image.fromarray(light.clip(0, 255).astype(np.uint8)).convert("RGB")


def test_a_smooth_sky_is_not_blurred() -> None:
    """Nobody can tell: a gradient that is recompressed, a glow, soft clouds have no edges that a blur could take."""
    plain = [sky(glow, angle, clouds) for glow in (0, 60) for angle in (0.0, 0.5, 1.0) for clouds in (0, 3)]
    for number, image in enumerate(plain):
        ratios = [take_fingerprint(made).blur for made in (image, as_jpeg(image, 85), as_jpeg(image, 40))]
        assert max(ratios) < 0.1, (number, ratios)


def test_a_sky_with_something_sharp_in_it_is_sharp_and_blurred_when_that_is() -> None:
    for number, angle in enumerate((0.0, 0.7, 1.3)):
        image = sky(40, angle)
        ImageDraw.Draw(image).polygon([(150, 380), (230, 200 + 10 * number), (330, 380)], fill=(30, 40, 50))
        assert take_fingerprint(image).blur < 0.06
        assert all(take_fingerprint(image.filter(ImageFilter.GaussianBlur(sigma))).blur > 0.15 for sigma in (3, 6, 12))


def test_a_blank_or_tiny_picture_is_not_blurred() -> None:
    assert measure_blur(np.full((64, 64), 7, np.uint8)) == 0.0
    assert measure_blur(np.eye(5, dtype=np.uint8)) == 0.0


def test_the_hash_of_a_symmetric_drawing_is_no_chance() -> None:
    """Moved by half a pixel, every other wave of it goes from a little below nothing to a little above."""
    for seed in SEEDS:
        half = draw(seed, (128, 256)).convert("L")
        whole = Image.new("L", (256, 256))
        whole.paste(half, (0, 0))
        whole.paste(half.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (128, 0))
        moved = whole.transform(whole.size, Image.Transform.AFFINE, (1, 0, 0.5, 0, 1, 0), Image.Resampling.BILINEAR)
        (one, mirrored), (other, _) = hash_both_ways(whole), hash_both_ways(moved)
        assert one == mirrored, seed
        assert (one ^ other).bit_count() <= HASH_DISTANCE, seed


def test_the_outermost_border_is_told_from_those_within() -> None:
    for seed in SEEDS:
        white = Image.new("RGB", (240, 240), "white")
        white.paste(draw(seed, (120, 130)), (60, 50))
        black = Image.new("RGB", (300, 260), "black")
        black.paste(white, (30, 10))
        made = take_fingerprint(black)
        assert made.borders >= 2
        assert (made.unframed ^ take_fingerprint(white).phash).bit_count() <= HASH_DISTANCE, seed
        assert content_box(np.asarray(black.convert("L")), 1) == pytest.approx((0.1, 10 / 260, 0.9, 250 / 260)), seed


def test_borders_are_found_and_the_inner_hash_is_that_of_the_picture() -> None:
    for seed in SEEDS:
        image = draw(seed, (240, 160))
        plain = take_fingerprint(image)
        sheet = Image.new("RGB", (320, 320), "black")
        sheet.paste(image, (40, 80))
        made = take_fingerprint(sheet)
        assert made.box != WHOLE
        assert (made.inner ^ plain.inner).bit_count() <= HASH_DISTANCE, seed
        assert (made.phash ^ plain.phash).bit_count() > HASH_DISTANCE, seed


def test_the_box_of_a_bordered_picture() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 200), dtype=np.uint8)
    sheet = np.full((200, 250), 255, np.uint8)
    sheet[50:150, 25:225] = noise
    made = take_fingerprint(Image.fromarray(sheet))
    assert made.box == pytest.approx((0.1, 0.25, 0.9, 0.75), abs=0.01)
    assert (made.inner ^ take_fingerprint(Image.fromarray(noise)).phash).bit_count() <= 8


def test_a_dot_on_a_sheet_and_a_blank_sheet_have_no_borders() -> None:
    sheet = Image.new("L", (200, 200), 255)
    assert take_fingerprint(sheet).box == WHOLE
    sheet.paste(0, (90, 90, 120, 120))
    assert take_fingerprint(sheet).box == WHOLE


def test_fingerprint_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    draw(2, (300, 200)).save(file)
    made = fingerprint(file)
    assert made == take_fingerprint(draw(2, (300, 200)))
    assert made.blur < 0.06
    assert made.exposure.contrast > 0.5


@pytest.mark.parametrize("side", [300, 700, 1500])
def test_a_jpeg_decoded_small_has_the_hash_of_the_whole(tmp_path: Path, side: int) -> None:
    image = draw(7, (side, side * 3 // 4))
    image.save(tmp_path / "a.jpg", quality=95)
    made, whole = fingerprint(tmp_path / "a.jpg"), take_fingerprint(image)
    assert (made.phash ^ whole.phash).bit_count() <= 2
    assert made.blur == pytest.approx(whole.blur, abs=0.02)


def test_transparency_lies_on_white_and_rotation_is_heeded(tmp_path: Path) -> None:
    image = draw(4, (200, 150)).convert("L")
    see_through = Image.new("RGBA", (200, 150), (0, 0, 0, 0))
    see_through.save(tmp_path / "clear.png")
    assert fingerprint(tmp_path / "clear.png").exposure.bright == 1.0
    exif = Image.Exif()
    exif[0x0112] = 6
    image.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    made = fingerprint(tmp_path / "turned.jpg")
    assert (made.phash ^ take_fingerprint(image).phash).bit_count() <= 4
