"""Changes of tone: fitted, acted out with what they cut off, and not taken for other colours of one thing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from lorasmith.images.similarity import looks_marked, looks_toned, take_fine_thumbnail, take_thumbnail
from lorasmith.images.tones import Tone, differ_in_tone, likely_tones
from tests.images.drawings import draw
from tests.images.test_similarity import face

Alteration = Callable[[Image.Image], Image.Image]


def tinted(image: Image.Image) -> Image.Image:
    warm = np.asarray(image).astype(np.float32) * np.array([1.15, 1.0, 0.85], np.float32)
    return Image.fromarray(warm.clip(0, 255).astype(np.uint8))


ALTERATIONS: dict[str, Alteration] = {
    "brightness 1.2": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "brightness 0.7": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "contrast 1.25": lambda image: ImageEnhance.Contrast(image).enhance(1.25),
    "saturation 0.5": lambda image: ImageEnhance.Color(image).enhance(0.5),
    "saturation 1.4": lambda image: ImageEnhance.Color(image).enhance(1.4),
    "warm tint": tinted,
}


def toned(one: Image.Image, other: Image.Image) -> bool:
    return looks_toned(
        take_thumbnail(one), take_thumbnail(other), lambda: take_fine_thumbnail(one), lambda: take_fine_thumbnail(other)
    )


@pytest.mark.parametrize("name", ALTERATIONS)
def test_a_changed_tone_is_the_same_picture_whichever_comes_first(name: str) -> None:
    originals = [*(draw(seed, (300, 300)) for seed in range(8)), *(face(seed) for seed in range(8))]
    copies = [ALTERATIONS[name](image) for image in originals]
    assert sum(map(toned, originals, copies)) >= 15
    assert sum(map(toned, copies, originals)) >= 15


def bust(shirt: str, hair: str = "brown") -> Image.Image:
    image = Image.new("RGB", (512, 768), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((156, 80, 356, 330), fill=hair)
    pen.ellipse((176, 120, 336, 320), fill="#ffe0c0", outline="black")
    pen.rectangle((150, 330, 362, 767), fill=shirt, outline="black")
    for x in (215, 280):
        pen.ellipse((x, 190, x + 22, 220), fill="blue")
    return image


COLOURS = ("red", "darkgreen", "white", "navy", "yellow", "orange", "grey", "pink")


def test_another_colour_of_one_thing_is_another_picture() -> None:
    shirts, hairs = [bust(colour) for colour in COLOURS], [bust("red", colour) for colour in COLOURS]
    for pictures in (shirts, hairs):
        pairs = [(one, other) for number, one in enumerate(pictures) for other in pictures[:number]]
        assert len(pairs) == 28
        assert not any(toned(one, other) for one, other in pairs)


def test_a_tone_is_found_again() -> None:
    source = np.asarray(draw(4).resize((64, 64))).astype(np.float32)
    made = Tone(1.4, -0.4, (1.1, 1.1, 1.1), (-8.0, -8.0, -8.0))
    found = list(likely_tones(source, made.of(source)))
    assert len(found) >= 5
    assert min(float(np.abs(tone.of(source) - made.of(source)).max()) for tone in found) < 3


def test_tones_that_turn_light_or_colours_over_are_not_usual() -> None:
    assert Tone(1, 0, (1, 1, 1), (0, 0, 0)).is_usual
    assert not Tone(-1, 0, (1, 1, 1), (255, 255, 255)).is_usual
    assert not Tone(1, 0, (1, 1, 0.3), (0, 0, 0)).is_usual
    assert not Tone(0, 0, (1, 1, 1), (0, 0, 0)).is_usual


def test_the_quick_no_lets_copies_pass_and_is_for_none_as_well_as_for_many() -> None:
    images = [draw(seed) for seed in range(6)]
    spots = np.stack([np.asarray(image.resize((8, 8), Image.Resampling.BOX), np.float32) for image in images])
    bright = np.clip(spots * 1.2, 0, 255)
    ones, others = spots.reshape(6, 64, 3), bright.reshape(6, 64, 3)
    assert differ_in_tone(ones, others).max() < 30
    assert differ_in_tone(ones, np.roll(others, 1, axis=0)).min() > 60
    assert differ_in_tone(ones[:0], others[:0]).shape == (0,)


def test_a_mark_along_an_edge_is_seen_and_a_change_in_the_middle_is_none() -> None:
    for seed in range(8):
        image = face(seed).resize((512, 512))
        marked, changed = image.copy(), image.copy()
        ImageDraw.Draw(marked).text((380, 485), "somebody", fill=(120, 120, 120), font_size=18)
        ImageDraw.Draw(changed).ellipse((240, 300, 280, 320), fill=(120, 20, 20))
        assert looks_marked(take_thumbnail(image), take_thumbnail(marked)) == looks_marked(
            take_thumbnail(marked), take_thumbnail(image)
        )
        assert looks_marked(take_thumbnail(image), take_thumbnail(marked)), seed
        assert not looks_marked(take_thumbnail(image), take_thumbnail(changed)), seed
