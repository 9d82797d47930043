"""Whatever a file holds: a picture, or one clear ImageError."""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorasmith.errors import ImageError
from lorasmith.images.opening import is_image_name, look_at, open_rgb, open_small
from tests.images.drawings import draw


def test_facts_of_a_picture(tmp_path: Path) -> None:
    file = tmp_path / "a.PNG"
    draw(1, (96, 64)).save(file)
    facts = look_at(file)
    assert (facts.width, facts.height, facts.format) == (96, 64, "png")
    assert facts.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    file = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn 90 degrees clockwise
    lying = Image.new("RGB", (64, 32), "white")
    lying.paste("red", (0, 0, 32, 32))
    lying.save(file, exif=exif, quality=95)
    facts = look_at(file)
    assert (facts.width, facts.height) == (32, 64)
    standing = np.asarray(open_rgb(file))
    assert standing.shape == (64, 32, 3)
    assert standing[10, 16, 1] < 60, "the red half is on top"
    assert standing[54, 16, 1] > 200


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF"])
def test_other_formats_are_turned_too(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "turned"
    exif = Image.Exif()
    exif[0x0112] = 8
    draw(2, (64, 32)).save(file, kind, exif=exif)
    facts = look_at(file)
    assert (facts.width, facts.height, facts.format) == (32, 64, kind.lower())
    assert open_rgb(file).size == (32, 64)


@pytest.mark.parametrize("sides", [(30_000, 3), (3, 30_000)])
def test_a_very_long_picture_is_a_picture(tmp_path: Path, sides: tuple[int, int]) -> None:
    file = tmp_path / "long.png"
    Image.new("L", sides, 7).save(file)
    facts = look_at(file)
    assert (facts.width, facts.height) == sides


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_goes_on_white(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "clear.png"
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (0, 0, 4, 8))
    if mode == "P":
        palette = Image.new("P", (8, 8), 1)
        palette.putpalette([0, 0, 0, 9, 9, 9])
        palette.paste(0, (0, 0, 4, 8))
        palette.save(file, transparency=1)
    else:
        clear.convert(mode).save(file)
    pixels = np.asarray(open_rgb(file))
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[0, 7].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    file = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 0x8080, np.uint16)).save(file)
    assert np.asarray(open_rgb(file))[0, 0].tolist() == [128, 128, 128]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    file = tmp_path / "print.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(file, quality=95)
    red, green, blue = (int(c) for c in np.asarray(open_rgb(file))[8, 8])
    assert red > 200
    assert max(green, blue) < 60


def test_first_frame_of_a_gif(tmp_path: Path) -> None:
    file = tmp_path / "moving.gif"
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(file, save_all=True, append_images=frames[1:])
    assert look_at(file).format == "gif"
    assert np.asarray(open_rgb(file))[0, 0].tolist() == [255, 0, 0]


def test_small_opening_keeps_at_least_the_side(tmp_path: Path) -> None:
    file = tmp_path / "large.jpg"
    draw(1, (1024, 768)).save(file)
    small = open_small(file, 64)
    assert 64 <= min(small.size) < 768, "JPEG is decoded smaller"


def _text(file: Path) -> None:
    file.write_text("this is no picture")


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _one_byte(file: Path) -> None:
    file.write_bytes(b"\x89")


def _cut_png(file: Path) -> None:
    draw(3).save(file)
    file.write_bytes(file.read_bytes()[:-200])


def _cut_jpeg(file: Path) -> None:
    draw(3).save(file, "JPEG", quality=95)
    file.write_bytes(file.read_bytes()[:2000])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def _bomb(file: Path) -> None:
    """A PNG that promises 30,000 x 30,000 pixels."""
    header = (30_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"")))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_text, "not an image"),
        (_empty, "empty file"),
        (_one_byte, "not an image"),
        (_cut_png, "damaged or cut off"),
        (_cut_jpeg, "damaged or cut off"),
        (_bomb, "million pixels"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(tmp_path: Path, spoil: object, reason: str) -> None:
    file = tmp_path / "spoilt.png"
    assert callable(spoil)
    spoil(file)
    with pytest.raises(ImageError, match=reason) as caught:
        look_at(file)
    assert "spoilt.png" in str(caught.value)


def _pipe(file: Path) -> None:
    os.mkfifo(file)


def _postscript(file: Path) -> None:
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n")


def _targa(file: Path) -> None:
    draw(3, (8, 8)).save(file, "TGA")


@pytest.mark.parametrize(
    ("make", "reason"),
    [(_pipe, "not a file that can be read"), (_postscript, "not an image"), (_targa, "not an image")],
)
def test_what_blocks_or_starts_programs_is_not_opened(tmp_path: Path, make: object, reason: str) -> None:
    file = tmp_path / "trap.png"
    assert callable(make)
    make(file)
    for act in (look_at, open_rgb):
        with pytest.raises(ImageError, match=reason):
            act(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png: no such file"):
        open_rgb(tmp_path / "gone.png")


def test_names_of_images() -> None:
    assert is_image_name(Path("a.Jpg"))
    assert is_image_name(Path("a.b.WEBP"))
    assert not is_image_name(Path("a.txt"))
