"""The user's folder is byte-identical after every dataset command, wherever it lies."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from lorasmith.cli.main import build_app, run
from tests.images.drawings import draw, save_drawings
from tests.tags.models import make_tagger

LONG_WORK = {"demo", "train", "exam", "grid", "showcase", "generate", "prompt", "adapter"} | {
    *("base", "picture", "queue", "recipe", "serve", "library", "card", "publish", "compare", "studio")
}
"""Verbs that have nothing to do with the images; all others must be called below."""

COMMANDS = """
inspect {p}
inspect {p} --json
inspect {p} --html {t}/page.html
tag {p}
tag {p} --json
tag {p} --tagger {t}/tagger
tag {p} --tagger {t}/tagger --again
tag {p} --again --cluster 127.0.0.1:9
tag {p} --import {t}/captions
tag {p} --import {t}/captions --encoding cp1252
tag {p} --captioner {captioner} --yes
tag {p} --table
tag {p} --diff
tag {p} --diff --kohya-compat
tag {p} --explain 000.png
tag {p} --write
tag {p} --write --kohya-compat
tag {p} --write --zip {t}/out.zip
tag {p} --metadata {t}/captions.json
tag {p} --metadata {t}/captions.jsonl --kohya-compat
plan {p}
plan {p} --json
curate keep {p} 000.png
curate primary {p} 000.png 001.png --reason "seen well"
curate supporting {p} 002.png
curate solve {p} --steps 100
curate repeats {p} 003.png --times 3
curate crop {p} 004.png --box 4,4,40,40
curate label {p} 000.png --as "from behind"
curate unlabel {p} 000.png --as "from behind"
curate distinct {p} 000.png 001.png
curate auto {p} --dry-run
curate auto {p}
curate alter {p} 000.png --count 2
curate alter {p} --replace-clones
curate collage {p} 000.png 001.png
curate cut {p} 002.png
curate adopt {p} {t}/kept
curate round {p}
curate log {p}
tag {p} --write
curate undo {p}
curate redo {p}
curate reject {p} 003.png
inspect {p}
"""


def snapshot(folder: Path) -> Mapping[str, tuple[Any, ...]]:
    """All that can be seen of a folder from outside but the time of the last reading."""

    def facts(path: Path) -> tuple[Any, ...]:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            content: bytes | str = os.readlink(path)
        else:
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino, content

    return {str(path): facts(path) for path in (folder, *sorted(folder.rglob("*")))}


def make_theirs(folder: Path) -> Path:
    """A folder with all that tempts a tool to change it."""
    save_drawings(folder, 5, caption="zbk, 1girl, smile")
    save_drawings(folder / "5_main", 5, 5)
    (folder / "clone.png").write_bytes((folder / "000.png").read_bytes())
    (folder / "000.jpg").write_bytes(b"")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "somewhere"
    draw(20, (64, 48)).save(folder / "photo.JPG", "JPEG", exif=exif)
    draw(21).save(folder / "moving.gif")
    (folder / "odd.txt").write_bytes(b"\xff")
    (folder / "001.txt").write_bytes(b"\xef\xbb\xbfzbk, smile\r\n")
    os.symlink("000.png", folder / "link.png")
    os.symlink("/etc", folder / "out")
    for number, path in enumerate(sorted(folder.rglob("*"))):
        if not path.is_symlink():
            os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))
    return folder


def commands(place: Path, project: Path) -> list[list[str]]:
    captioner = f'{sys.executable} -c "print(1)"'
    lines = [line for line in COMMANDS.splitlines() if line]
    names = {"p": str(project), "t": str(place), "captioner": shlex.quote(captioner)}
    return [shlex.split(line.format(**names)) for line in lines]


def prepare(place: Path) -> None:
    make_tagger(place / "tagger")
    (place / "captions").mkdir()
    (place / "captions" / "000.txt").write_text("from elsewhere")
    save_drawings(place / "kept", 2, 70)


def verbs() -> Mapping[str, Any]:
    from lorasmith.cli.main import VERBS

    found: Mapping[str, Any] = typer.main.get_command(build_app(set(VERBS))).commands  # type: ignore[attr-defined]
    return found


def options(command: Any) -> set[str]:
    """The long options of a command; of two spellings the first."""
    return {parameter.opts[0] for parameter in command.params if parameter.opts[0].startswith("--")} - {"--help"}


def test_every_dataset_command_is_in_the_list(tmp_path: Path) -> None:
    called = commands(tmp_path, tmp_path / "p")
    known = verbs()
    assert known
    for verb, command in known.items():
        if verb in LONG_WORK or verb in ("new", "add", "collect"):
            continue
        for name in getattr(command, "commands", {"": None}):
            assert any(words[: 2 if name else 1] == [verb, name][: 2 if name else 1] for words in called), (verb, name)
    given = {word for words in called if words[0] == "tag" for word in words if word.startswith("--")}
    assert options(known["tag"]) <= given


@pytest.mark.parametrize("where", ["copied", "used where it lies", "in the project"])
def test_no_command_changes_the_users_folder(tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "p"
    theirs = make_theirs(project / "images" if where == "in the project" else tmp_path / "theirs")
    prepare(tmp_path)
    before = snapshot(theirs)
    assert len(before) > 20
    made = ["new", str(project), "--name", "zbk", "--images", str(theirs)]
    if where == "used where it lies":
        made = ["new", str(project), "--name", "zbk"]
    assert run(made) == 0
    file = project / "lora.toml"
    text = file.read_text("utf-8").replace('licence = ""', 'licence = "CC0"')
    if where == "used where it lies":
        text = text.replace('images = ["images"]', f'images = ["{theirs}"]')
    file.write_text(text, "utf-8")
    known = options(verbs()["tag"])
    for words in commands(tmp_path, project):
        if words[0] == "tag" and {word for word in words if word.startswith("--")} - known:
            continue
        code = run(words)
        captured = capsys.readouterr()
        refused = (
            14 if "--cluster" in words else 10 if "round" in words else None
        )  # nobody listens; nothing was trained
        assert code in (0, 1) if refused is None else code == refused, f"{words}: {captured.err}"
        assert snapshot(theirs) == before, f"{words} changed the user's folder"


def test_the_snapshot_sees_every_change(tmp_path: Path) -> None:
    """The test above can fail."""
    theirs = make_theirs(tmp_path / "theirs")
    changes: Sequence[Any] = (
        lambda: (theirs / "000.txt").write_text("zbk, 1girl, smilf"),
        lambda: os.utime(theirs / "000.png"),
        lambda: (theirs / ".hidden").touch(),
        lambda: (theirs / "001.png").chmod(0o600),
        lambda: (theirs / "link.png").unlink(),
    )
    for change in changes:
        before = snapshot(theirs)
        change()
        assert snapshot(theirs) != before
