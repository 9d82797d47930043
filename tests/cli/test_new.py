"""lorasmith new: copies, refuses before it makes anything, and leaves a valid project."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from lorasmith.cli.main import run
from lorasmith.dataset.sources.source import Piece
from lorasmith.project import SubjectKind, open_project
from tests.images.drawings import save_drawings


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_project_from_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, folder = tmp_path / "pictures", tmp_path / "my-lora"
    save_drawings(source / "5_main", 2, caption="smile")
    save_drawings(source, 1, first_seed=2)
    (source / "notes.md").write_text("not taken")
    before = tree(source)
    words = ["--subject", "asset", "--name", "chair", "--trigger", 'a "chr" chair']
    assert run(["new", str(folder), *words, "--images", str(source)]) == 0
    assert tree(folder / "images") == {name: data for name, data in before.items() if name != "notes.md"}
    assert tree(source) == before
    project = open_project(folder)
    assert (project.lora.name, project.lora.trigger) == ("chair", 'a "chr" chair')
    assert project.lora.subject is SubjectKind.ASSET
    said = capsys.readouterr().out
    assert "3 images" in said
    assert f"lorasmith inspect {folder}" in said


def test_defaults_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "My Hero"
    assert run(["new", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "project": str(folder),
        "file": str(folder / "lora.toml"),
        "images": 0,
        "captions": 0,
        "class_images": 0,
        "trigger": "myhero",
        "left_out": [],
    }
    assert (folder / "images").is_dir()
    values = tomllib.loads((folder / "lora.toml").read_text("utf-8"))
    assert values["lora"] == {"name": "My_Hero", "subject": "character", "trigger": "myhero", "base": "doodle"}
    assert set(values) == {"lora", "dataset", "tags", "recipe", "provenance"}


def test_every_example_in_the_comments_is_valid(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    save_drawings(tmp_path / "src", 1, caption="smile")
    assert run(["new", str(folder), "--images", str(tmp_path / "src")]) == 0
    text = (folder / "lora.toml").read_text("utf-8")
    examples = [line for line in text.splitlines() if line.startswith("# ") and " = " in line]
    assert len(examples) >= 8
    for line in examples:
        text = text.replace(line, line.removeprefix("# "))
    (folder / "lora.toml").write_text(text, "utf-8")
    assert run(["tag", str(folder), "--json"]) == 0


def test_several_sources_after_one_option(tmp_path: Path) -> None:
    one, two, folder = tmp_path / "one", tmp_path / "5_two", tmp_path / "p"
    save_drawings(one, 1, caption="a")
    save_drawings(one / "3_inner", 1)
    save_drawings(two, 1, caption="b")
    single = save_drawings(tmp_path / "single", 1, caption="c")[0]
    assert run(["new", str(folder), "--images", str(one), str(two), str(single)]) == 0
    assert set(tree(folder / "images")) == {
        *("one/000.png", "one/000.txt", "3_inner/000.png", "5_two/000.png", "5_two/000.txt"),
        *("000.png", "000.txt"),
    }


def test_names_that_meet_are_numbered_with_their_captions(tmp_path: Path) -> None:
    sources = [save_drawings(tmp_path / name, 1, seed, caption=name)[0] for seed, name in enumerate(("a", "b"))]
    sources[1] = sources[1].rename(sources[1].with_name("000.png"))
    (tmp_path / "b" / "001.txt").rename(tmp_path / "b" / "000.txt")
    assert run(["new", str(tmp_path / "p"), "--images", *map(str, sources)]) == 0
    images = tmp_path / "p" / "images"
    assert {path.name for path in images.iterdir()} == {"000.png", "000.txt", "000-2.png", "000-2.txt"}
    assert (images / "000-2.txt").read_text() == "b"


def test_images_already_in_place_are_used_as_they_are(tmp_path: Path) -> None:
    images = tmp_path / "p" / "images"
    save_drawings(images, 2)
    before = tree(images)
    assert run(["new", str(tmp_path / "p"), "--images", str(images)]) == 0
    assert tree(images) == before
    assert open_project(tmp_path / "p").lora.name == "p"


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (lambda _: None, 5, "no such folder"),
        (lambda source: source.mkdir(), 5, "It is empty"),
        (lambda source: (source.mkdir(), (source / "a.doc").write_text("x")), 5, "It holds a.doc"),
        (lambda source: source.write_text("x"), 5, "neither a folder nor an image"),
    ],
)
def test_wrong_sources_are_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: object, code: int, message: str
) -> None:
    assert callable(make)
    make(tmp_path / "source")
    assert run(["new", str(tmp_path / "p"), "--images", str(tmp_path / "source")]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "p").exists()


def test_an_existing_project_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lora.toml").write_text("mine")
    assert run(["new", str(tmp_path)]) == 3
    assert "already" in capsys.readouterr().err
    assert (tmp_path / "lora.toml").read_text() == "mine"
    save_drawings(tmp_path / "p" / "images", 1)
    save_drawings(tmp_path / "source", 1)
    assert run(["new", str(tmp_path / "p"), "--images", str(tmp_path / "source")]) == 3
    assert not (tmp_path / "p" / "lora.toml").exists()


@pytest.mark.parametrize("words", [["--name", "a/b"], ["--trigger", " , "], ["--subject", "spaceship"]])
def test_wrong_words_are_wrong_usage(tmp_path: Path, words: list[str]) -> None:
    assert run(["new", str(tmp_path / "p"), *words]) == 2
    assert not (tmp_path / "p").exists()


def test_a_copy_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_drawings(tmp_path / "source", 3)
    copied: list[object] = []

    def full(piece: Piece, target: Path) -> str:
        if copied:
            raise OSError(28, "No space left on device", str(target))
        copied.append(piece)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"")
        return ""

    monkeypatch.setattr("lorasmith.dataset.ingest._copy", full)
    assert run(["new", str(tmp_path / "p"), "--images", str(tmp_path / "source")]) == 11
    assert "No space left" in capsys.readouterr().err
    assert copied
    assert tree(tmp_path / "p") == {}
    monkeypatch.undo()
    assert run(["new", str(tmp_path / "p"), "--images", str(tmp_path / "source")]) == 0


def test_what_was_built_and_packed_can_be_taken_in_again(tmp_path: Path) -> None:
    save_drawings(tmp_path / "src" / "5_main", 2, caption="smile")
    save_drawings(tmp_path / "src" / "2_side", 2, 2, caption="hat")
    first = tmp_path / "p"
    assert run(["new", str(first), "--trigger", "zbk", "--images", str(tmp_path / "src")]) == 0
    assert run(["tag", str(first), "--zip", str(tmp_path / "out.zip"), "--json"]) == 0
    built = first / "build" / "dataset"
    for number, source in enumerate((built, built / "dataset.toml")):
        again = tmp_path / f"again{number}"
        assert run(["new", str(again), "--images", str(source)]) == 0
        assert tree(again / "images") == {name: data for name, data in tree(built).items() if name != "dataset.toml"}, (
            "folders with their repeats, pictures, captions"
        )
    assert run(["new", str(tmp_path / "flat"), "--images", str(tmp_path / "out.zip")]) == 0
    flat = tree(tmp_path / "flat" / "images")
    assert sorted(flat) == [f"00{n}.{end}" for n in range(4) for end in ("png", "txt")]
    assert {data for name, data in flat.items() if name.endswith(".txt")} == {b"zbk, smile\n", b"zbk, hat\n"}


def test_a_folder_that_stands_for_no_project_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_drawings(tmp_path / "in", 1)
    monkeypatch.chdir(tmp_path)
    assert run(["new", "./-", "--subject", "character", "--images", "in"]) == 3
    assert 'cannot be called "-"' in capsys.readouterr().err
    assert not (tmp_path / "-").exists()
