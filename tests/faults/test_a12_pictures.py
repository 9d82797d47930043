"""A12: pictures of phones and cameras: their size, their formats, their colours, their frames."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from lorasmith.dataset.reading import read_dataset
from lorasmith.errors import ImageError
from lorasmith.events import Event, Note, finish
from lorasmith.images.cleaning import is_plain, write_plain
from lorasmith.images.fingerprints import fingerprint
from lorasmith.images.opening import is_image_name, look_at, open_rgb, open_small
from tests.faults.make_dataset import picture, put
from tests.faults.projects import project_of

P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
"""XYZ of red, green and blue at D50: Display P3 and sRGB (ICC profile registry, both chromatically adapted)."""


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def make_profile(primaries: tuple[tuple[float, float, float], ...], gamma: float = 2.2) -> bytes:
    """A matrix profile (ICC.1:2001-04, 6.3.4: three-component matrix-based input profiles)."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = [(b"wtpt", b"XYZ " + bytes(4) + fixed(0.9642) + fixed(1) + fixed(0.8249))]
    for colour, xyz in zip(b"rgb", primaries, strict=True):
        tags.append((bytes([colour]) + b"XYZ", b"XYZ " + bytes(4) + b"".join(map(fixed, xyz))))
        tags.append((bytes([colour]) + b"TRC", curve))
    for name in (b"desc", b"cprt"):
        tags.append((name, b"text" + bytes(4) + b"test\0" + bytes(3)))
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags:
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4s4s4s4s4s", start + len(body), bytes(4), b"\2\x10\0\0", b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642) + fixed(1) + fixed(0.8249)
    return head.ljust(128, b"\0") + table + body


def as_srgb(colour: tuple[int, int, int]) -> list[float]:
    """A colour of P3 with gamma 2.2 in sRGB (IEC 61966-2-1), by the matrices."""
    xyz = np.array(P3).T @ (np.array(colour) / 255) ** 2.2
    linear = np.clip(np.linalg.inv(np.array(SRGB).T) @ xyz, 0, 1)
    return [float(255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055)) for v in linear]


COLOUR = (200, 100, 60)


def make_wide(file: Path, mode: str = "RGB") -> Path:
    whole = Image.new("RGB", (64, 48), COLOUR)
    made = whole.quantize(4) if mode == "P" else whole.convert(mode)
    made.save(file, icc_profile=make_profile(P3), quality=95)
    return file


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tiff"])
def test_a_wide_gamut_becomes_srgb(tmp_path: Path, name: str) -> None:
    file = make_wide(tmp_path / name)
    expected = as_srgb(COLOUR)
    assert max(abs(a - b) for a, b in zip(expected, COLOUR, strict=True)) > 12, "the colours differ"
    for opened in (open_rgb(file), open_small(file, 16)):
        assert np.asarray(opened)[5, 5] == pytest.approx(expected, abs=3)
        assert "icc_profile" not in opened.info


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_other_modes_become_srgb(tmp_path: Path, mode: str) -> None:
    file = make_wide(tmp_path / "a.png", mode)
    assert np.asarray(open_rgb(file))[5, 5] == pytest.approx(as_srgb(COLOUR), abs=6)


def test_what_is_handed_over_is_srgb(tmp_path: Path) -> None:
    """kohya's trainer reads pixels as they are (sd-scripts, library/train_util.py, load_image)."""
    file = make_wide(tmp_path / "a.png")
    before = file.read_bytes()
    assert not is_plain(file)
    made = write_plain(file, tmp_path / "made")
    with Image.open(made) as image:
        assert np.asarray(image)[5, 5] == pytest.approx(as_srgb(COLOUR), abs=3)
        assert "icc_profile" not in image.info
    assert file.read_bytes() == before


@pytest.mark.parametrize("profile", [b"no profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()])
def test_srgb_and_broken_profiles_change_nothing(tmp_path: Path, profile: bytes) -> None:
    file = tmp_path / "a.png"
    picture(1).save(file, icc_profile=profile)
    assert is_plain(file)
    assert np.array_equal(np.asarray(open_rgb(file)), np.asarray(picture(1)))


def test_the_fingerprint_is_that_of_the_colours(tmp_path: Path) -> None:
    whole = picture("wide", (400, 300))
    whole.save(tmp_path / "wide.jpg", icc_profile=make_profile(P3), quality=95)
    open_rgb(tmp_path / "wide.jpg").save(tmp_path / "srgb.png")
    wide, srgb = (fingerprint(tmp_path / name) for name in ("wide.jpg", "srgb.png"))
    assert (wide.phash ^ srgb.phash).bit_count() <= 2


LARGE = """
import json, sys
from pathlib import Path
from lorasmith.images.crops import open_part
from lorasmith.images.fingerprints import fingerprint
from lorasmith.images.opening import look_at, open_small
from lorasmith.tags.tagger import prepare
file = Path(sys.argv[1])
facts, print_ = look_at(file), fingerprint(file)
small, whole = open_small(file, 64), open_part(file, None)
seen = prepare(whole, 448, "edge")
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024  # ru_maxrss would be no less than its parent's
print(json.dumps([facts.width, facts.height, *whole.size, *seen.shape, peak]))
"""


def test_a_phone_of_108_megapixels(tmp_path: Path) -> None:
    """Pillow's own limit (Image.MAX_IMAGE_PIXELS) is 89 million; phones make 108 and 200."""
    file = tmp_path / "phone.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (12000, 9000), "teal").save(file, exif=exif)
    answer = subprocess.run([sys.executable, "-c", LARGE, file], capture_output=True, text=True, check=True)
    *sizes, peak = json.loads(answer.stdout)
    assert sizes == [9000, 12000, 9000, 12000, 448, 448, 3]
    assert peak < 1500, "megabytes"


def test_what_promises_more_is_still_a_trap(tmp_path: Path) -> None:
    file = tmp_path / "trap.png"
    Image.new("1", (20000, 20000)).save(file)
    with pytest.raises(ImageError, match="trap"):
        look_at(file)


@pytest.mark.parametrize("extension", ["heic", "heif", "hif", "HIF", "jpe", "avif", "jxl", "apng"])
def test_extensions_of_cameras(extension: str) -> None:
    assert is_image_name(Path(f"a.{extension}"))


def test_jpe_is_taken_in(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.jpe", "JPEG")
    assert [item.name for item in finish(read_dataset(project_of(tmp_path))).items] == ["a.jpe"]


@pytest.mark.parametrize(
    ("library", "name", "kind"),
    [("pillow_heif", "a.hif", "HEIF"), ("pillow_jxl", "a.jxl", "JXL"), ("", "a.avif", "AVIF")],
)
def test_formats_that_a_library_reads(tmp_path: Path, library: str, name: str, kind: str) -> None:
    if library:
        pytest.importorskip(library)
    put(tmp_path / "known.png", 1)
    look_at(tmp_path / "known.png")  # which makes the library known to Pillow
    picture(1, (64, 48)).save(tmp_path / name, kind)
    facts = look_at(tmp_path / name)
    assert (facts.width, facts.height, facts.moves) == (64, 48, False)
    assert open_rgb(tmp_path / name).size == (64, 48)


def test_the_way_to_read_them_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(ImageError) as caught:
        look_at(tmp_path / "a.heic")
    assert "formats" in str(caught.value) or "damaged or cut off" in str(caught.value)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_animated_files_are_noted(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"a.{kind.lower()}"
    picture(1).save(file, kind, save_all=True, append_images=[picture(2)])
    put(tmp_path / "still.png", 3)
    project = project_of(tmp_path)
    for _ in range(2):  # also when nothing is looked at again
        seen: list[Event] = []
        finish(read_dataset(project), seen.append)
        notes = [event.message for event in seen if isinstance(event, Note)]
        assert notes == [f"{file.name} holds several frames: the first one counts."]


def test_a_camera_with_a_second_picture_is_not_animated(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[picture(2)])
    assert not look_at(tmp_path / "a.jpg").moves
