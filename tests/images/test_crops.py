"""Parts of pictures, and proposals what to cut out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorasmith.images.crops import LEAST_SIDE, Pattern, cut, detail_map, find_focus, open_part, propose_parts
from tests.images.drawings import draw


def on_white(size: tuple[int, int], box: tuple[int, int, int, int], seed: int = 1) -> Image.Image:
    """A busy drawing in `box`, white around it."""
    canvas = Image.new("RGB", size, "white")
    random = np.random.default_rng(seed)
    shape = (box[3] - box[1], box[2] - box[0], 3)
    canvas.paste(Image.fromarray(random.integers(0, 255, shape, dtype=np.uint8)), box[:2])
    return canvas


def test_a_part_is_cut_from_the_upright_picture(tmp_path: Path) -> None:
    image = draw(1, (60, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise
    image.save(tmp_path / "a.png", exif=exif)
    upright = image.transpose(Image.Transpose.ROTATE_270)
    assert open_part(tmp_path / "a.png", None).tobytes() == upright.tobytes()
    part = open_part(tmp_path / "a.png", (5, 10, 35, 50))
    assert np.array_equal(np.asarray(part), np.asarray(upright)[10:50, 5:35])
    for box in ((0, 0, 41, 10), (5, 5, 5, 9), (-1, 0, 4, 4)):
        with pytest.raises(ValueError, match="is not inside 40x60"):
            cut(upright, box)


def test_the_focus_holds_the_detail_closely() -> None:
    left, top, right, bottom = find_focus(on_white((400, 300), (120, 60, 280, 240)))
    assert 90 <= left <= 125
    assert 275 <= right <= 310
    assert 35 <= top <= 65
    assert 235 <= bottom <= 265
    assert find_focus(Image.new("RGB", (70, 50), "red")) == (0, 0, 70, 50)
    assert detail_map(Image.new("RGB", (70, 50), "red")).sum() == 0


@pytest.mark.parametrize("pattern", ["figure", "object", "place"])
@pytest.mark.parametrize("size", [(400, 300), (300, 400), (2000, 90)])
def test_proposals_lie_inside_and_are_parts(pattern: Pattern, size: tuple[int, int]) -> None:
    image = draw(2, size)
    parts = propose_parts(image, pattern)
    assert parts
    assert len({part.name for part in parts}) == len(parts)
    for part in parts:
        pixels = cut(image, part.box)  # raises outside
        assert min(pixels.size) >= LEAST_SIDE
        assert pixels.width * pixels.height < 0.9 * size[0] * size[1]
    assert propose_parts(image, pattern) == parts


def test_an_object_is_cut_along_its_longer_side_first() -> None:
    tall = propose_parts(on_white((300, 600), (100, 50, 200, 550)), "object")
    assert [part.name for part in tall][:2] == ["whole object", "first half from the top"]
    assert propose_parts(on_white((600, 300), (50, 100, 550, 200)), "object")[1].name == "first half from the left"


def test_both_sides_of_a_figure_overlap_and_cover_it() -> None:
    parts = {part.name: part.box for part in propose_parts(on_white((400, 600), (100, 50, 300, 550)), "figure")}
    assert {"upper third", "left side", "right side", "whole figure"} <= set(parts)
    left, right, whole = parts["left side"], parts["right side"], parts["whole figure"]
    assert left[0] == whole[0]
    assert right[2] == whole[2]
    assert left[2] > right[0]


def test_a_tiny_picture_has_no_parts() -> None:
    assert propose_parts(draw(1, (30, 30)), "place") == ()
