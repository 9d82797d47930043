"""Folders as the world makes them: whatever lies there, no command falls over, and nothing is lost unnamed."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lorasmith.cli.main import run
from lorasmith.dataset.folders import printable
from tests.images.drawings import draw

NOBODY = 65534
SOUND = 10


def call(capsys: pytest.CaptureFixture[str], *words: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Run one command with --json; its document. Anything but a clear end raises."""
    capsys.readouterr()
    code = run([*words, "--json"])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert code in codes, captured.err
    document: dict[str, Any] = json.loads(captured.out if code in (0, 1) and captured.out else captured.err)
    return document


def small(seed: int, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    draw(seed, (48, 48)).save(out, kind)
    return out.getvalue()


def bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = (60_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def make_sound(folder: Path) -> None:
    """A few pictures that are as they should be."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(SOUND):
        (folder / f"sound{seed}.png").write_bytes(small(seed))
        (folder / f"sound{seed}.txt").write_text("1girl, smile")


def make_hostile(folder: Path) -> dict[str, str]:
    """Everything that is wrong with files: printable name -> a word of the reason that must be given."""
    outside = folder.with_name("outside.png")
    outside.write_bytes(small(99))
    whole = small(50)
    long = Image.fromarray(np.arange(30_000 * 4, dtype=np.uint8).reshape(4, 30_000))
    broken: dict[str, tuple[bytes, str]] = {
        "empty.png": (b"", "empty file"),
        "one byte.jpg": (b"\xff", "not an image"),
        "bomb.png": (bomb(), "trap"),
        "cut.png": (whole[: len(whole) // 2], "cut off"),
        "cut.jpg": (small(51, "JPEG")[:900], "cut off"),
        "cut.webp": (small(51, "WEBP")[:200], "cut off"),
        "cut.gif": (small(51, "GIF")[:300], "cut off"),
        "text.jpg": (b"this is no picture", "not an image"),
        "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        "future.jxl": (b"\xff\x0a" + bytes(40), "JXL cannot be read"),
        "[red]markup.png": (b"x", "not an image"),
    }
    for name, (data, _) in broken.items():
        (folder / name).write_bytes(data)
    long.save(folder / "long.png")
    os.symlink(outside, folder / "out.png")
    os.symlink("nothing.png", folder / "nowhere.png")
    os.symlink("round.png", folder / "round.png")
    os.symlink("../" * 30, folder / "up")
    os.symlink(".", folder / "loop")
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    (folder / "folder.png" / "inner.png").write_bytes(small(52))
    (folder / "folder.txt").mkdir()
    (folder / "0_none").mkdir()
    (folder / "0_none" / "a.png").write_bytes(small(53))
    for name, data in (("a.png", small(60)), ("a.jpg", small(61, "JPEG")), ("a.txt", b"both"), ("lonely.txt", b"x")):
        (folder / name).write_bytes(data)
    (folder / "long.txt").write_bytes(b"\xff\xfe\x00")
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "\u00e9\u00fc")
        (folder / f"{name}.png").write_bytes(small(70 + len(name)))
        (folder / f"{name}.txt").write_text(form)
    links = {
        "out.png": "leads out",
        "nowhere.png": "nowhere",
        "round.png": "itself",
        "pipe.png": "cannot",
        "up": "linked",
    }
    named = {name: reason for name, (_, reason) in broken.items()}
    return named | links | {"pipe.png": "not a file that can be read", "loop": "linked folder", "0_none": "0 repeats"}


GOOD = SOUND + 6
"""Pictures that can be used: the sound ones, long, inner, a and a, and two accents."""


def reasons(document: Mapping[str, Any]) -> str:
    return "\n".join(f"{finding['images']} {finding['message']}" for finding in document["findings"])


def test_a_hostile_folder_is_read_where_it_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_sound(tmp_path / "p" / "images")
    named = make_hostile(tmp_path / "p" / "images")
    root = str(tmp_path / "p")
    made = call(capsys, "new", root, "--images", str(tmp_path / "p" / "images"))
    broken = [name for name, reason in named.items() if reason not in ("leads out", "nowhere", "itself")]
    assert made["images"] >= GOOD
    document = call(capsys, "inspect", root, codes=(0, 1))
    assert document["images"] == GOOD
    told = reasons(document)
    for name in (*broken, "out.png", "nowhere.png", "round.png", "lonely.txt"):
        assert name in told, f"{name} is nowhere in the report"
    captions = call(capsys, "tag", root, "--write")["captions"]
    assert len(captions) == GOOD
    built = tmp_path / "p" / "build" / "dataset"
    assert len([path for path in built.glob("*/*") if path.suffix != ".txt"]) == GOOD
    assert len(call(capsys, "plan", root)["images"]) == GOOD


def test_a_hostile_folder_is_taken_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "theirs"
    make_sound(source)
    named = make_hostile(source)
    (source / "notes.md").write_text("x")
    made = call(capsys, "new", str(tmp_path / "p"), "--images", str(source))
    left = {one["name"]: one["message"] for one in made["left_out"]}
    for name, reason in named.items():
        copied = (tmp_path / "p" / "images" / name).is_file()
        assert copied or reason in left[name], name
    assert left["notes.md"] == "neither a picture nor a caption."
    document = call(capsys, "inspect", str(tmp_path / "p"), codes=(0, 1))
    assert document["images"] == GOOD
    told = reasons(document)
    for name in named:
        assert name in left or name in told, f"{name} is lost"
    assert run(["new", str(tmp_path / "q"), "--images", str(source)]) == 0
    assert "Left out, " in capsys.readouterr().out
    assert run(["inspect", str(tmp_path / "q")]) == 1
    assert "[red]markup.png" in capsys.readouterr().out.replace("\n", "")


def legal_names() -> list[bytes]:
    """A name with every byte that may be in one, in front (but the dot, which hides) and inside."""
    inside = [b"a" + bytes([byte]) + b".png" for byte in range(1, 256) if byte != 0x2F]
    front = [bytes([byte]) + b"zz.png" for byte in range(1, 256) if byte not in (0x2E, 0x2F)]
    return [*inside, *front, b"-rf.png", b"..x.png"[1:], b"x" * 251 + b".png", "\u202egnp.png".encode()]


def test_every_legal_byte_may_be_in_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / os.fsdecode(b"fol\xffder\n")
    source.mkdir()
    names = [name for name in legal_names() if not name.startswith(b".")]
    assert len(names) > 500
    for number, name in enumerate(names):
        file = os.fsencode(source) + b"/" + name
        Image.new("RGB", (8, 8), (number % 256, number // 256 * 80, 7)).save(file, "PNG")
        Path(os.fsdecode(file)).with_suffix(".txt").write_text(f"tag {number}")
    project = tmp_path / os.fsdecode(b"pro\xfe\x1bject")
    made = call(capsys, "new", str(project), "--name", "zbk", "--images", str(source))
    assert (made["images"], made["captions"], made["left_out"]) == (len(names), len(names), [])
    captions = call(capsys, "tag", str(project), "--write")["captions"]
    assert len(captions) == len(names)
    assert len(set(captions.values())) == len(names), "each kept its own caption"
    assert all(name == printable(name) or "\\" in name for name in captions)
    assert call(capsys, "inspect", str(project), codes=(0, 1))["images"] == len(names)
    assert run(["inspect", str(project)]) in (0, 1)
    assert run(["new", str(project)]) == 3
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out, "no name speaks to the terminal"


def test_names_that_are_too_long_are_an_error_not_a_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["new", str(tmp_path / ("x" * 300))], ["new", str(tmp_path / "p"), "--images", "y" * 5000]):
        assert run(words) in (3, 5, 11)
        assert "too long" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(3))
def test_damaged_archives_never_crash(tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "whole.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"5_a/{number}.png", small(number))
            archive.writestr(f"5_a/{number}.txt", "1girl, smile")
    whole, random = source.read_bytes(), np.random.default_rng(seed)
    ends: set[int] = set()
    for turn in range(25):
        data = bytearray(whole)
        for place in random.integers(0, len(data), 12):
            data[place] = int(random.integers(0, 256))
        spoilt = tmp_path / "spoilt.zip"
        spoilt.write_bytes(data[: int(random.integers(1, len(data)))] if turn % 5 == 0 else data)
        ends.add(run(["new", str(tmp_path / f"p{turn}"), "--images", str(spoilt)]))
    assert ends <= {0, 5}
    assert "Traceback" not in capsys.readouterr().err


@contextmanager
def without_rights() -> Iterator[None]:
    """Tests may run as root, whom no rights stop: be nobody for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that nobody may enter, too."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_what_may_not_be_read_is_named(open_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = open_folder / "theirs"
    make_sound(source)
    (source / "closed").mkdir()
    (source / "closed" / "a.png").write_bytes(small(40))
    (source / "closed").chmod(0)
    (source / "secret.png").write_bytes(small(41))
    (source / "secret.png").chmod(0)
    (source / "sound1.txt").chmod(0)
    call(capsys, "new", str(open_folder / "warm"), "--images", str(source))  # everything is imported now
    with without_rights():
        made = call(capsys, "new", str(open_folder / "p"), "--images", str(source))
    left = {one["name"]: one["message"] for one in made["left_out"]}
    assert made["images"] == SOUND
    assert set(left) == {"closed", "secret.png", "sound1.txt"}
    assert all("Permission denied" in reason for reason in left.values())


def test_a_read_only_project_can_be_looked_at_but_not_written(
    open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = open_folder / "p"
    make_sound(open_folder / "theirs")
    call(capsys, "new", str(root), "--images", str(open_folder / "theirs"))
    for warm in (["inspect", str(root)], ["tag", str(root), "--write"]):
        call(capsys, *warm, codes=(0, 1))
    shutil.rmtree(root / ".lorasmith")
    shutil.rmtree(root / "build")
    for path in (*root.rglob("*"), root):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with without_rights():
        assert call(capsys, "inspect", str(root), codes=(0, 1))["images"] == SOUND
        assert len(call(capsys, "tag", str(root))["captions"]) == SOUND
        error = call(capsys, "tag", str(root), "--write", codes=(11,))["error"]
        new = call(capsys, "new", str(root / "inner"), codes=(11,))["error"]
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
    assert "Permission denied" in error["message"]
    assert "Permission denied" in new["message"]
