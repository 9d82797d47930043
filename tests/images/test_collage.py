"""Collages: whose pixels lie where."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lorasmith.images.collage import LAYOUTS, LIMITS, LONGEST, Layout, make_collage
from tests.images.drawings import draw

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def plain(colour: tuple[int, int, int], size: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", size, colour)


def test_side_by_side_as_high_as_the_lowest() -> None:
    low = draw(1, (50, 40))
    collage = make_collage([low, plain(GREEN, (60, 80))], "side")
    assert collage.size == (50 + 30, 40)
    assert np.array_equal(np.asarray(collage)[:, :50], np.asarray(low)), "nothing of the lowest is changed"
    assert (np.asarray(collage)[:, 50:] == GREEN).all()


def test_stacked_as_wide_as_the_narrowest() -> None:
    narrow = draw(1, (40, 50))
    collage = make_collage([plain(RED, (80, 60)), narrow], "stack")
    assert collage.size == (40, 30 + 50)
    assert (np.asarray(collage)[:30] == RED).all()
    assert np.array_equal(np.asarray(collage)[30:], np.asarray(narrow))


def test_a_grid_fills_row_by_row_and_leaves_white() -> None:
    collage = np.asarray(make_collage([plain(c, (20, 30)) for c in (RED, GREEN, BLUE)], "grid"))
    assert collage.shape == (60, 40, 3)
    cells = [collage[:30, :20], collage[:30, 20:], collage[30:, :20], collage[30:, 20:]]
    for cell, colour in zip(cells, (RED, GREEN, BLUE, (255, 255, 255)), strict=True):
        assert (cell == colour).all()


def test_insets_lie_in_the_lower_corners() -> None:
    collage = make_collage([plain(RED, (200, 100)), plain(GREEN, (100, 100)), plain(BLUE, (10, 10))], "inset")
    assert collage.size == (200, 100)
    assert collage.getpixel((190, 90)) == GREEN
    assert collage.getpixel((8, 92)) == BLUE
    assert collage.getpixel((100, 20)) == RED
    share = (np.asarray(collage) == GREEN).all(axis=2).mean()
    assert share == pytest.approx(36 * 36 / 20000), "36 % of the lower side"
    assert (np.asarray(collage) == BLUE).all(axis=2).sum() == 100, "a small one is not enlarged"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_too_few_or_many_are_refused_and_size_is_bounded(layout: Layout) -> None:
    least, most = LIMITS[layout]
    for count in (least - 1, most + 1):
        with pytest.raises(ValueError, match=f"{least} to {most}"):
            make_collage([plain(RED, (8, 8))] * count, layout)
    assert max(make_collage([plain(RED, (1500, 1400))] * least, layout).size) <= LONGEST
