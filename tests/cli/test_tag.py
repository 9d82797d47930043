"""lorasmith tag: documents, explanations, changes, hand-over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from lorasmith.cli.main import run
from tests.dataset.projects import make_project
from tests.images.drawings import save_drawings
from tests.tags.models import make_tagger

TAGS = '[tags]\nundesired = "watermark"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    project = make_project(tmp_path / "p", TAGS)
    save_drawings(project.root / "images", 2, caption="smile, watermark")
    return project.root


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert run(["tag", *words, "--json"]) == 0
    read: dict[str, object] = json.loads(capsys.readouterr().out)
    return read


def test_captions_and_rules(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = document(capsys, str(root))
    assert made["captions"] == {"000.png": "zbk, smile", "001.png": "zbk, smile"}
    assert isinstance(made["rules"], list)
    assert {"name": "undesired", "changed": 2} in made["rules"]
    assert not (root / "build").exists(), "nothing is written unasked"


def test_a_person_reads_captions_and_the_next_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tag", str(root)]) == 0
    said = capsys.readouterr().out
    assert "zbk, smile" in said
    assert "undesired 2, trigger 2" in said
    assert "--explain" in said


def test_explaining(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = document(capsys, str(root), "--explain", "000.png")
    assert made["caption"] == "zbk, smile"
    assert made["raw"] == ["smile", "watermark"]
    assert run(["tag", str(root), "--explain", "000.png"]) == 0
    said = capsys.readouterr().out
    assert "dropped" in said
    assert "T5" in said
    assert run(["tag", str(root), "--explain", "0000.png"]) == 2
    assert 'Did you mean "000.png"' in capsys.readouterr().err


def test_diff_before_and_after_writing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = document(capsys, str(root), "--diff")["changes"]
    assert isinstance(changes, list)
    assert changes[0] == {"path": "000.png", "before": "smile, watermark", "after": "zbk, smile"}
    assert not (root / "build").exists()
    built = document(capsys, str(root), "--write")["built"]
    assert built == str(root / "build" / "dataset")
    assert (root / "build/dataset/1_zbk/000.txt").read_text() == "zbk, smile\n"
    assert (root / "images/000.txt").read_text() == "smile, watermark"
    assert document(capsys, str(root), "--diff")["changes"] == []
    assert run(["tag", str(root), "--diff"]) == 0
    assert "No caption would change" in capsys.readouterr().out


def test_contradicting_options_are_wrong_usage(root: Path) -> None:
    assert run(["tag", str(root), "--diff", "--write"]) == 2


def test_a_taggers_folder(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 64), (255, 0, 0)).save(root / "images" / "red.png")
    folder = make_tagger(tmp_path / "colours")
    made = document(capsys, str(root), "--tagger", str(folder))
    assert isinstance(made["captions"], dict)
    assert made["captions"]["red.png"] == "zbk, mostly red"
    assert document(capsys, str(root))["captions"] == made["captions"], "the raw tags were kept"
    assert run(["tag", str(root), "--tagger", str(tmp_path / "nowhere")]) == 5
    assert "no such folder of a tagger" in capsys.readouterr().err


def test_the_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = document(capsys, str(root), "--table")
    assert made["images"] == 2
    assert isinstance(made["tags"], list)
    assert made["tags"][1] == {
        "tag": "watermark",
        "images": 2,
        "left": 0,
        "share": 1.0,
        "feature": None,
        "fused": True,
    }
    assert run(["tag", str(root), "--table"]) == 0
    assert "with the trigger" in capsys.readouterr().out


def test_a_zip_for_hub_trainers(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "hub.zip"
    made = document(capsys, str(root), "--zip", str(target))
    assert made["zip"] == str(target)
    assert target.is_file()


def test_a_zip_behind_a_url(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fsspec = pytest.importorskip("fsspec", reason="the [cluster] extra is not installed")
    made = document(capsys, str(root), "--zip", "memory://bucket/hub.zip")
    assert made["zip"] == "memory://bucket/hub.zip"
    document(capsys, str(root), "--zip", str(tmp_path / "hub.zip"))
    assert fsspec.filesystem("memory").cat_file("/bucket/hub.zip") == (tmp_path / "hub.zip").read_bytes()
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def test_tags_are_imported_and_captioning_programs_are_run(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 64), (255, 0, 0)).save(root / "images" / "red.png")
    Image.new("RGB", (64, 64), (0, 0, 255)).save(root / "images" / "blue.png")
    table = tmp_path / "tags.csv"
    table.write_text('file,tags\nred.png,"red, plain"\n', "utf-8")
    made = document(capsys, str(root), "--import", str(table), "--captioner", "printf a.picture")
    assert isinstance(made["imported"], dict)
    assert made["imported"]["matched"] == ["red.png"]
    assert made["captioned"] == 4
    assert isinstance(made["captions"], dict)
    assert made["captions"]["red.png"].startswith("zbk, ")
    assert "red, plain" in made["captions"]["red.png"]


def test_explaining_says_which_import_tags_came_from(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_drawings(root / "images", 1, 5)
    (tmp_path / "old.json").write_text(json.dumps({"005.png": {"tags": "hat"}}), "utf-8")
    assert run(["tag", str(root), "--import", str(tmp_path / "old.json"), "--explain", "005.png"]) == 0
    assert "tags from the import old.json" in capsys.readouterr().out
    assert run(["tag", str(root), "--explain", "000.png"]) == 0
    assert "tags from its own caption" in capsys.readouterr().out


def test_captions_as_a_metadata_file(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "captions.json"
    made = document(capsys, str(root), "--metadata", str(target))
    assert made["metadata"] == str(target)
    told = {Path(path).name: entry["tags"] for path, entry in json.loads(target.read_text("utf-8")).items()}
    assert told == made["captions"]
    assert run(["tag", str(root), "--metadata", str(target), "--diff"]) == 2
    assert "do not go together" in capsys.readouterr().err
    assert run(["tag", str(root), "--metadata", str(target), "--kohya-compat"]) != 0
    assert "no tagger has seen it" in capsys.readouterr().err
