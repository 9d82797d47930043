"""What is decoded once is the same as what is decoded anew."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
from PIL import Image, ImageFile

from lorasmith.images import decoded
from lorasmith.images.decoded import kept_decoded
from lorasmith.images.fingerprints import fingerprint
from lorasmith.images.opening import look_at, open_rgb

TURNED = Image.Exif()
TURNED[0x0112] = 6


def save(folder: Path) -> list[Path]:
    """Files of many kinds: turned, transparent, with a palette, grey, deep, one that a JPEG reader may have smaller."""
    noise = Image.effect_noise((96, 64), 90)
    colours = Image.merge("RGB", (noise, noise.transpose(Image.Transpose.ROTATE_180), Image.effect_noise((96, 64), 50)))
    clear = colours.copy()
    clear.putalpha(noise)
    palette = colours.quantize(16)
    palette.info["transparency"] = 3
    wanted = {
        "turned.png": colours,
        "turned.jpg": colours,
        "turned.webp": colours,
        "clear.png": clear,
        "palette.png": palette,
        "grey.jpg": noise,
        "deep.png": Image.new("I;16", (40, 30), 40_000),
        "plain.bmp": colours,
        "turned.tif": colours,
        "moving.gif": palette,
    }
    for name, image in wanted.items():
        exif = TURNED if name.startswith("turned") else Image.Exif()
        image.save(folder / name, exif=exif)
    large = folder / "large.jpg"
    colours.resize((1200, 900)).save(large)
    return [*(folder / name for name in wanted), large]


def seen(path: Path) -> list[object]:
    """All that passes over a file take from it, in every order that matters."""
    first = open_rgb(path)
    return [look_at(path), fingerprint(path), first.tobytes(), first.size, open_rgb(path).tobytes(), fingerprint(path)]


def test_pictures_are_the_same_as_decoded_anew(tmp_path: Path) -> None:
    paths = save(tmp_path)
    anew = [seen(path) for path in paths]
    with kept_decoded():
        assert [seen(path) for path in paths] == anew
        assert [seen(path) for path in paths] == anew, "what a caller had belongs to it"


def test_few_pictures_are_decoded_once(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.effect_noise((64, 64), 50).convert("RGB").save(path)
    with patch.object(ImageFile.ImageFile, "load", autospec=True, side_effect=ImageFile.ImageFile.load) as load:
        with kept_decoded():
            look_at(path)
            once = load.call_count
            open_rgb(path).paste("red", (0, 0, 64, 64))
            assert len(open_rgb(path).getcolors() or ()) > 1, "others' changes are not seen"
            fingerprint(path)
            assert load.call_count == once
            Image.new("RGB", (64, 64), "blue").save(path)
            assert open_rgb(path).getpixel((0, 0)) == (0, 0, 255), "the file is another now"
        before = load.call_count
        open_rgb(path)
        assert load.call_count > before, "nothing is kept when nobody looks any more"


def test_many_pictures_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "MOST_BYTES", 64 * 64 * 3)
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 64), "blue").save(tmp_path / name)
        assert decoded.recall(tmp_path / name, drafted=False) is None
    with kept_decoded():
        open_rgb(tmp_path / "a.png")
        assert decoded.recall(tmp_path / "a.png", drafted=False) is not None
        open_rgb(tmp_path / "b.png")
        assert decoded.recall(tmp_path / "a.png", drafted=False) is None
        assert decoded.recall(tmp_path / "b.png", drafted=False) is None
