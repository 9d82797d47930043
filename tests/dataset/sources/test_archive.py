"""A training zip: pairs come out, traps do not."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from lorasmith.dataset.sources import archive
from lorasmith.errors import DatasetError
from tests.dataset.sources.pieces import Opened
from tests.images.drawings import draw


def png(seed: int = 1) -> bytes:
    out = io.BytesIO()
    draw(seed, (16, 16)).save(out, "PNG")
    return out.getvalue()


def pack(path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as made:
        for name, data in members.items():
            made.writestr(zipfile.ZipInfo(name), data, compression)
    return path


def test_pairs_with_the_picture_before_its_caption(tmp_path: Path) -> None:
    opened = Opened(pack(tmp_path / "zbk.zip", {"a.txt": b"smile", "a.png": png(), "notes.md": b"x"}))
    assert (opened.kind, opened.label) == ("training zip", "zbk")
    assert list(opened.files) == ["a.png", "a.txt"]
    assert opened.files == {"a.png": png(), "a.txt": b"smile"}
    assert opened.origins["a.png"].source == "zbk.zip/a.png"
    assert opened.left_out == {"notes.md": "neither a picture nor a caption."}


def test_folders_that_wrap_everything_are_taken_off_down_to_the_counted_ones(tmp_path: Path) -> None:
    members = {
        "zbk/img/5_a/1.png": png(),
        "zbk/img/5_a/1.txt": b"",
        "__MACOSX/zbk/._1.png": b"x",
        "zbk/.DS_Store": b"x",
    }
    opened = Opened(pack(tmp_path / "zbk.zip", members))
    assert list(opened.files) == ["5_a/1.png", "5_a/1.txt"]
    assert opened.left_out == {}


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "a/../../evil.png",
        "/etc/evil.png",
        "C:\\evil.png",
        "c:evil.png",
        "..\\evil.png",
        "\\\\host\\evil.png",
    ],
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    opened = Opened(pack(tmp_path / "z.zip", {"a.png": png(), name: png(2)}))
    assert list(opened.files) == ["a.png"]
    assert list(opened.left_out.values()) == ["its name leads out of the archive."]


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("a.png", png())
        for name, kind in (("link.png", stat.S_IFLNK), ("device.png", stat.S_IFCHR)):
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
            made.writestr(entry, "/etc/hostname")
    opened = Opened(path)
    assert list(opened.files) == ["a.png"]
    assert set(opened.left_out) == {"link.png", "device.png"}
    assert all("not followed" in reason for reason in opened.left_out.values())


def test_a_bomb_is_refused_unopened(tmp_path: Path) -> None:
    members = {f"{n}.png": bytes(30 << 20) for n in range(10)}
    path = pack(tmp_path / "bomb.zip", members, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DatasetError, match=r"bomb\.zip: 10 files that would unpack to 300 MiB.*trap"):
        Opened(path)


def test_an_oversized_caption_and_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(pack(tmp_path / "z.zip", {"a.png": png(), "a.txt": b"x" * (2 << 20)}))
    assert "2 MiB, more than a caption has" in opened.left_out["a.txt"]
    monkeypatch.setattr(archive, "MOST_FILES", 1)
    with pytest.raises(DatasetError, match="2 files"):
        Opened(tmp_path / "z.zip")


def test_a_size_that_lies_gives_no_more_than_it_said(tmp_path: Path) -> None:
    path = pack(tmp_path / "z.zip", {"a.png": b"x" * 5000, "b.png": png()}, zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 5000), struct.pack("<I", 50)))
    with pytest.raises(zipfile.BadZipFile):
        Opened(path)


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    path = pack(tmp_path / "z.zip", {"a.png": png(), "b.png": png(2)})
    data = bytearray(path.read_bytes())
    for place in (data.find(b"PK\1\2"), data.rfind(b"PK\1\2"))[1:]:
        data[place + 8] |= 1
    path.write_bytes(data)
    assert "password" in Opened(path).left_out["b.png"]


@pytest.mark.parametrize("data", [b"", b"P", b"PK\3\4" + b"\0" * 40, b"no zip at all" * 50])
def test_a_damaged_archive_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "z.zip").write_bytes(data)
    with pytest.raises(DatasetError, match=r"z\.zip: not a readable zip"):
        Opened(tmp_path / "z.zip")


def test_an_archive_without_pictures_says_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no images in this zip.*neither a picture"):
        Opened(pack(tmp_path / "z.zip", {"notes.md": b"x"}))
