"""What is handed over: the same pixels, and nothing else."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lorasmith.errors import ImageError
from lorasmith.images.cleaning import is_plain, suffix_of, write_plain
from lorasmith.images.opening import open_rgb
from tests.images.drawings import draw

SECRET = b"51.4779N 0.0015W"
PROFILE = b"profile" * 20


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[0x010E] = SECRET.decode()
    made[0x0112] = orientation
    return made


def prompt() -> PngInfo:
    made = PngInfo()
    made.add_text("parameters", SECRET.decode())
    made.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    return made


def jpeg(file: Path) -> None:
    draw(1, (96, 64)).save(file, "JPEG", exif=exif(), comment=SECRET, icc_profile=PROFILE, xmp=SECRET, quality=90)


def progressive(file: Path) -> None:
    draw(1, (96, 64)).save(file, "JPEG", exif=exif(), progressive=True, quality=90)


def trailer(file: Path) -> None:
    draw(1, (96, 64)).save(file, "JPEG", quality=90)
    file.write_bytes(file.read_bytes() + b"ftypmp4" + SECRET)


def two_pictures(file: Path) -> None:
    draw(1, (96, 64)).save(file, "MPO", save_all=True, append_images=[draw(2, (96, 64))], exif=exif())


def thumbnail(file: Path) -> None:
    draw(1, (96, 64)).save(file, "JPEG", quality=90)
    data = file.read_bytes()
    small = b"JFIF\0\1\1\0\0\1\0\1\6\1" + SECRET + b"\0\0"
    file.write_bytes(b"\xff\xd8\xff\xe0" + struct.pack(">H", 2 + len(small)) + small + data[20:])


def png(file: Path) -> None:
    draw(1, (96, 64)).save(file, "PNG", exif=exif(), pnginfo=prompt(), icc_profile=PROFILE)


def webp(file: Path) -> None:
    draw(1, (96, 64)).save(file, "WEBP", exif=exif(), xmp=SECRET, icc_profile=PROFILE, quality=80)


def webp_lossless(file: Path) -> None:
    draw(1, (96, 64)).save(file, "WEBP", exif=exif(), lossless=True)


@pytest.mark.parametrize(
    ("make", "suffix"),
    [
        *((jpeg, ".jpg"), (progressive, ".jpg"), (trailer, ".jpg"), (two_pictures, ".jpg"), (thumbnail, ".jpg")),
        *((png, ".png"), (webp, ".webp"), (webp_lossless, ".webp")),
    ],
)
def test_metadata_goes_and_pixels_stay(tmp_path: Path, make: Callable[[Path], None], suffix: str) -> None:
    file = tmp_path / "theirs.bin"
    make(file)
    before = file.read_bytes()
    assert SECRET in before or make is two_pictures
    assert not is_plain(file)
    made = write_plain(file, tmp_path / "a.b")
    assert made == tmp_path / f"a.b{suffix}"
    assert suffix_of(file) == suffix
    assert SECRET not in made.read_bytes()
    assert is_plain(made)
    with Image.open(made) as clean, Image.open(file) as old:
        assert getattr(clean, "n_frames", 1) == 1
        assert clean.info.get("icc_profile") == old.info.get("icc_profile")
        assert not clean.getexif()
    assert np.array_equal(np.asarray(open_rgb(made)), np.asarray(open_rgb(file))), "bit for bit"
    assert file.read_bytes() == before


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_turned_pictures_are_handed_over_upright(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "turned"
    draw(1, (96, 64)).save(file, kind, exif=exif(6))
    assert not is_plain(file)
    made = write_plain(file, tmp_path / "made")
    assert made.suffix == ".png"
    with Image.open(made) as image:
        assert image.size == (64, 96)
        assert not image.getexif()
    assert np.array_equal(np.asarray(open_rgb(made)), np.asarray(open_rgb(file)))


def deep(file: Path) -> None:
    Image.fromarray(np.full((8, 8), 0x8080, np.uint16)).save(file, "PNG")


def clear(file: Path) -> None:
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(file, "PNG")


def clear_palette(file: Path) -> None:
    Image.new("P", (8, 8), 1).save(file, "PNG", transparency=1)


def print_colours(file: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(file, "JPEG", icc_profile=PROFILE)


def moving(kind: str) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])

    return make


@pytest.mark.parametrize(
    "make", [deep, clear, clear_palette, print_colours, moving("GIF"), moving("WEBP"), moving("PNG"), moving("AVIF")]
)
def test_what_trainers_read_differently_becomes_eight_bit_png(tmp_path: Path, make: Callable[[Path], None]) -> None:
    file = tmp_path / "odd"
    make(file)
    assert not is_plain(file)
    made = write_plain(file, tmp_path / "made")
    with Image.open(made) as image:
        assert (image.format, image.mode, getattr(image, "n_frames", 1)) == ("PNG", "RGB", 1)
        assert "icc_profile" not in image.info, "a profile for ink does not fit"
    assert np.array_equal(np.asarray(open_rgb(made)), np.asarray(open_rgb(file)))


def test_a_box_is_cut_out(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    jpeg(file)
    made = write_plain(file, tmp_path / "made", box=(10, 20, 42, 60))
    assert SECRET not in made.read_bytes()
    expected = np.asarray(open_rgb(file))[20:60, 10:42]
    assert np.array_equal(np.asarray(open_rgb(made)), expected)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("JPEG", {}), ("WEBP", {}), ("BMP", {}), ("PNG", {"bits": 8})]
)
def test_plain_pictures_are_known(tmp_path: Path, kind: str, options: dict[str, int]) -> None:
    file = tmp_path / "a"
    picture = draw(1).quantize(16) if options else draw(1)
    picture.save(file, kind, **options)
    assert is_plain(file)


def test_a_picture_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "no.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n")
    for act in (is_plain, suffix_of, lambda path: write_plain(path, tmp_path / "x")):
        with pytest.raises(ImageError, match=r"no\.png"):
            act(file)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_damage_of_any_kind_gives_a_picture_or_one_clear_error(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "damaged"
    draw(1, (32, 24)).save(file, kind, **({} if kind in ("BMP", "GIF") else {"exif": exif()}))
    whole, random = file.read_bytes(), np.random.default_rng(7)
    ends: set[str] = set()
    for turn in range(40):
        data = bytearray(whole)
        for place in random.integers(0, min(len(data), 400), 1 + turn % 5):
            data[place] = int(random.integers(0, 256))
        file.write_bytes(data[: int(random.integers(1, len(data)))] if turn % 4 == 0 else data)
        try:
            is_plain(file)
            write_plain(file, tmp_path / "made")
        except ImageError:
            ends.add("refused")
        else:
            ends.add("written")
    assert ends == {"refused", "written"}
