"""How blurred a picture is: it rises with every further blur, over the whole range, drawn or photographed."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from lorasmith.images.fingerprints import take_fingerprint
from tests.images.drawings import draw
from tests.images.test_similarity import face

SIGMAS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16)


def low_contrast() -> Image.Image:
    """A drawing whose colours are nearly one grey."""
    image = Image.new("RGB", (512, 512), "#dd5050")
    pen = ImageDraw.Draw(image)
    pen.ellipse((130, 100, 390, 400), fill="#b47d4a", outline="black", width=6)
    pen.polygon(((130, 180), (260, 60), (390, 180)), fill="#ff832a")
    pen.arc((200, 260, 320, 340), 20, 160, fill="black", width=6)
    pen.rectangle((150, 400, 360, 511), fill="#3c5ac8")
    return image


def grainy(seed: int) -> Image.Image:
    """As rough at every scale as photographs are: a spectrum of 1 / f."""
    random = np.random.default_rng(seed)
    waves = np.fft.fft2(random.normal(size=(512, 512)))
    down, across = np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512), indexing="ij")
    light = np.fft.ifft2(waves / np.maximum(np.hypot(down, across), 1 / 512)).real
    light = 127 + 45 * (light - light.mean()) / light.std()
    return Image.fromarray(light.clip(0, 255).astype(np.uint8)).convert("RGB")


PICTURES = {
    "low contrast": low_contrast(),
    **{f"drawing {seed}": draw(seed, (512, 512)) for seed in range(6)},
    **{f"face {seed}": face(seed).resize((512, 512)) for seed in range(3)},
    **{f"grain {seed}": grainy(seed) for seed in range(4)},
}


@pytest.mark.parametrize("name", PICTURES)
def test_blur_rises_with_every_further_blur(name: str) -> None:
    image = PICTURES[name]
    blurs = [take_fingerprint(image.filter(ImageFilter.GaussianBlur(sigma))).blur for sigma in SIGMAS]
    assert blurs[0] < 0.1, blurs
    assert all(after > before - 0.03 for before, after in pairwise(blurs)), blurs
    assert min(blurs[4:]) > 0.35, blurs
    assert max(blurs) <= 1


@pytest.mark.parametrize("name", PICTURES)
def test_a_blur_is_not_hidden_by_the_blocks_of_a_jpeg(name: str) -> None:
    store = io.BytesIO()
    PICTURES[name].filter(ImageFilter.GaussianBlur(10)).save(store, "JPEG", quality=60)
    assert take_fingerprint(Image.open(store)).blur > 0.1
