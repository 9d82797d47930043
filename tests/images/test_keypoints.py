"""Parts of a picture are found in it: cut out, scaled, recompressed; other pictures and wholes are not."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorasmith.errors import DatasetError
from lorasmith.images.keypoints import Keypoints, can_see, find_keypoints, place_within, take_keypoints, unpack
from tests.images.drawings import draw

pytest.importorskip("cv2")
BOXES = [(0.05, 0.05, 0.95, 0.95), (0.3, 0.1, 0.9, 0.7), (0.0, 0.4, 0.6, 1.0)]


def detailed(seed: int) -> Image.Image:
    """Shapes on grainy patches: as many corners as a photograph has."""
    random = np.random.default_rng(seed)
    patches = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    return Image.blend(patches.resize((640, 480), Image.Resampling.NEAREST), draw(seed, (640, 480)), 0.6)


def part(image: Image.Image, shares: tuple[float, float, float, float]) -> Image.Image:
    left, top, right, bottom = shares
    wide, high = image.size
    return image.crop((round(left * wide), round(top * high), round(right * wide), round(bottom * high)))


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_a_part_is_placed(box: tuple[float, float, float, float]) -> None:
    for seed in range(3):
        image = detailed(seed)
        whole = take_keypoints(image)
        store = io.BytesIO()
        cut = part(image, box)
        cut.resize((cut.width * 3 // 4, cut.height * 3 // 4)).save(store, "JPEG", quality=60)
        found = place_within(take_keypoints(Image.open(store)), whole)
        assert found == pytest.approx(box, abs=0.02), seed
        assert place_within(whole, take_keypoints(cut)) is None, "the whole is no part of its part"


def test_other_pictures_and_the_picture_itself_are_no_parts() -> None:
    looks = [take_keypoints(detailed(seed)) for seed in range(4)]
    assert all(place_within(one, other) is None for one in looks for other in looks)
    blank = take_keypoints(Image.new("RGB", (300, 200), "white"))
    assert len(blank.places) == 0
    assert place_within(blank, looks[0]) is None
    assert place_within(looks[0], blank) is None


def test_a_turned_part_is_no_part() -> None:
    image = detailed(1)
    assert place_within(take_keypoints(part(image, BOXES[1]).rotate(20)), take_keypoints(image)) is None


def test_keypoints_are_kept_as_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    detailed(1).save(file)
    made = find_keypoints(file)
    again = unpack(made.pack())
    assert again.size == made.size == (512, 384)
    assert np.array_equal(again.places, made.places)
    assert np.array_equal(again.bits, made.bits)
    assert find_keypoints(file, (0, 0, 320, 480)).size == (341, 512)
    with pytest.raises(ValueError, match="no packed keypoints"):
        unpack(made.pack()[:-1])


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_see()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(DatasetError, match="needs the package") as caught:
        take_keypoints(draw(1))
    assert "lorasmith[vision]" in (caught.value.hint or "")
    monkeypatch.delitem(sys.modules, "cv2")
    monkeypatch.setattr("lorasmith.images.keypoints.find_spec", lambda _: None)
    assert not can_see()


def test_a_part_may_not_be_nearly_everything() -> None:
    image = detailed(2)
    assert place_within(take_keypoints(part(image, (0.01, 0.01, 0.99, 0.99))), take_keypoints(image)) is None
    assert Keypoints((1, 1), np.empty((0, 2), np.float32), np.empty((0, 32), np.uint8)).pack()[:4] == b"\1\0\0\0"
