"""Any program may caption: what it prints is kept, where it fails is named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lorasmith.dataset.decisions import Decision, record
from lorasmith.errors import DatasetError, RefusedError, UsageError
from lorasmith.events import Note, finish
from lorasmith.project import Project
from lorasmith.tags.captioner import caption_images, read_command
from lorasmith.tags.raw import read_raw_tags
from lorasmith.tags.store import read_sentences
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings
from tests.refusal_words import refused_words

Write = Callable[[str], list[str]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path / "project")
    save_drawings(made.root / "images", 3)
    return made


@pytest.fixture
def program(tmp_path: Path) -> Write:
    """A captioning program with this body; `path` is the image."""

    def write(body: str) -> list[str]:
        file = tmp_path / "program.py"
        file.write_text(f"import pathlib, sys\npath = pathlib.Path(sys.argv[-1])\n{body}\n")
        return [sys.executable, "-S", "-E", str(file)]

    return write


def sentences(project: Project) -> dict[str, str]:
    stored = read_sentences(project)
    return {item.name: stored[item.facts.sha256] for item in read(project).items if item.facts.sha256 in stored}


def test_of_a_cropped_image_the_program_gets_the_part(project: Project, program: Write) -> None:
    command = program("print('A picture of', len(path.read_bytes()), 'bytes,', path.suffix)")
    before = finish(caption_images(project, read(project), command))
    item = read(project).items[1]
    record(project, [Decision(item.facts.sha256, "crop", (0, 0, 20, 30))])
    dataset = read(project)
    assert (before, finish(caption_images(project, dataset, command))) == (3, 1)
    stored = read_sentences(project)
    cropped = dataset.items[1]
    assert stored[cropped.content] != stored[item.facts.sha256]
    assert read_raw_tags(project, dataset)[item.name].sentence == stored[cropped.content]


def test_what_the_program_prints_is_kept_on_one_line(project: Project, program: Write) -> None:
    command = program("print(f'  A picture of\\n {path.stem},\\twell.\\n')")
    assert finish(caption_images(project, read(project), command)) == 3
    assert sentences(project)["001.png"] == "A picture of 001, well."
    assert finish(caption_images(project, read(project), command)) == 0, "it is not asked again"
    assert finish(caption_images(project, read(project), command, again=True)) == 3
    assert finish(caption_images(project, read(project), [*command, "--other"])) == 3, "another command"


def test_the_path_may_stand_anywhere(project: Project, program: Write) -> None:
    command = [*program("print(sys.argv[1], sys.argv[2])"), "--image={image}", "last"]
    finish(caption_images(project, read(project), command))
    assert sentences(project)["000.png"] == f"--image={project.root / 'images' / '000.png'} last"


def test_failures_are_named_and_the_rest_kept(project: Project, program: Write) -> None:
    body = """
if path.stem == "000":
    sys.exit("line\\nit broke")
if path.stem == "001":
    sys.exit(0)
sys.stdout.buffer.write(b"a \\xff cat")
"""
    seen: list[object] = []
    command = program(body)
    assert finish(caption_images(project, read(project), command), seen.append) == 1
    assert [event.message for event in seen if isinstance(event, Note)] == [
        "000.png: no caption: the program ended with 1: it broke",
        "001.png: no caption: the program printed nothing.",
    ]
    assert sentences(project) == {"002.png": "a \ufffd cat"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import time; time.sleep(60)", r"any of 3 images: took longer than 0\.2 s"),
        ("print('x' * 4001)", "printed 4001 characters"),
        ("sys.exit(3)", r"ended with 3\."),
    ],
)
def test_a_program_that_never_gives_a_caption(project: Project, program: Write, body: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        finish(caption_images(project, read(project), program(body), timeout=0.2 if "sleep" in body else 60))
    assert sentences(project) == {}


def test_what_was_done_is_kept_when_interrupted(project: Project, program: Write) -> None:
    command = program("print('a cat')")
    work = caption_images(project, read(project), command)
    next(work)
    work.close()
    assert sentences(project) == {"000.png": "a cat"}
    assert finish(caption_images(project, read(project), command)) == 2


def test_commands_are_read_without_a_shell() -> None:
    assert read_command("prog 'a b' --x=$HOME ; rm {image}") == ("prog", "a b", "--x=$HOME", ";", "rm", "{image}")
    with pytest.raises(UsageError, match="cannot be read"):
        read_command("prog 'a")
    with pytest.raises(UsageError, match="an empty captioning command"):
        read_command("  ")


def test_no_such_program(project: Project) -> None:
    with pytest.raises(UsageError, match="no-such-program-anywhere: no such program"):
        finish(caption_images(project, read(project), ["no-such-program-anywhere"]))


def test_refused_captions_are_not_kept(project: Project, program: Write) -> None:

    minor, sexual = refused_words()
    command = program(f"print({minor!r}, 'and', {sexual!r})")
    with pytest.raises(RefusedError, match=r"000\.png"):
        finish(caption_images(project, read(project), command))
    assert sentences(project) == {}
