"""lorasmith curate: what each command does, says, and takes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL.PngImagePlugin import PngInfo

from lorasmith.cli.main import run
from lorasmith.dataset.reading import Dataset, read_all
from lorasmith.events import finish
from lorasmith.project import open_project
from tests.dataset.projects import make_project
from tests.images.drawings import draw, save_drawings
from tests.refusal_words import refused_words

Said = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with 6 drawings, two of them in 3_primary, and a copy."""
    images = make_project(tmp_path).root / "images"
    save_drawings(images, 4, caption="zbk, smile")
    save_drawings(images / "3_primary", 2, 10, caption="zbk, hat")
    (images / "copy.png").write_bytes((images / "000.png").read_bytes())
    return tmp_path


def curate(folder: Path, verb: str, *words: str) -> int:
    return run(["curate", verb, str(folder), *words])


def read(folder: Path) -> Dataset:
    return finish(read_all(open_project(folder)))


def names(folder: Path) -> list[str]:
    return [item.name for item in read(folder).items]


def document(said: Said) -> Any:
    return json.loads(said.readouterr().out)


def test_reject_keep_and_undo(folder: Path, capsys: Said) -> None:
    before = {path: path.read_bytes() for path in (folder / "images").rglob("*") if path.is_file()}
    assert curate(folder, "reject", "00[12].png", "011", "--reason", "not her") == 0
    said = capsys.readouterr().out
    assert "3 images rejected: 001.png, 002.png, 3_primary/011.png" in said
    assert f"lorasmith curate undo {folder}" in said
    assert names(folder) == ["000.png", "003.png", "3_primary/010.png", "copy.png"]
    assert curate(folder, "keep", "001.png") == 0
    assert "001.png" in names(folder)
    assert curate(folder, "undo", "2") == 0
    assert "Undone" in capsys.readouterr().out
    assert len(names(folder)) == 7
    assert before == {path: path.read_bytes() for path in (folder / "images").rglob("*") if path.is_file()}


def test_of_two_copies_the_named_one_goes(folder: Path) -> None:
    assert curate(folder, "reject", "copy.png") == 0
    assert "copy.png" not in names(folder)
    assert "000.png" in names(folder)


def test_roles_repeats_crops_and_labels(folder: Path) -> None:
    assert curate(folder, "primary", "000.png") == 0
    assert curate(folder, "supporting", "3_primary/*") == 0
    assert curate(folder, "repeats", "001.png", "--times", "4") == 0
    assert curate(folder, "crop", "001.png", "--box", "8,0,40,64") == 0
    assert curate(folder, "label", "001.png", "002.png", "--as", "from behind") == 0
    items = {item.name: item for item in read(folder).items}
    assert (items["000.png"].role, items["3_primary/010.png"].role) == ("primary", "supporting")
    one = items["001.png"]
    assert (one.repeats, one.crop, one.facets) == (4, (8, 0, 48, 64), ("from behind",))
    for verb, words in (("repeats", ["--reset"]), ("crop", ["--reset"]), ("unlabel", ["--as", "from behind"])):
        assert curate(folder, verb, "001.png", *words) == 0
    assert curate(folder, "supporting", "3_primary/*", "--reset") == 0
    items = {item.name: item for item in read(folder).items}
    assert (items["001.png"].repeats, items["001.png"].crop, items["001.png"].facets) == (1, None, ())
    assert items["3_primary/010.png"].role == "primary"


def test_log_shows_steps_and_problems(folder: Path, capsys: Said) -> None:
    assert curate(folder, "log") == 0
    assert "Nothing is decided yet" in capsys.readouterr().out
    curate(folder, "reject", "001.png", "--reason", "too [dark]")
    with (folder / "curation.jsonl").open("a") as out:
        out.write('{"st')
    capsys.readouterr()
    assert curate(folder, "log") == 0
    said = capsys.readouterr().out
    assert "too [dark]" in said
    assert "line 2 is left out" in said
    assert curate(folder, "log", "--json") == 0
    shown = document(capsys)
    assert [(d["verb"], d["name"], d["step"]) for step in shown["steps"] for d in step] == [("reject", "001.png", 1)]
    assert len(shown["problems"]) == 1


def test_distinct_needs_two_pictures(folder: Path, capsys: Said) -> None:
    assert curate(folder, "distinct", "000.png", "copy.png") == 2
    assert "Identical files" in capsys.readouterr().err
    assert curate(folder, "distinct", "000.png", "001.png", "002.png", "--json") == 0
    assert len(document(capsys)["decisions"]) == 3


def test_auto_rejects_copies_in_one_step(folder: Path, capsys: Said) -> None:
    assert curate(folder, "auto", "--dry-run", "--json") == 0
    planned = document(capsys)
    assert [decision["name"] for decision in planned["decisions"]] == ["copy.png"]
    assert planned["recorded"] is False
    assert "copy.png" in names(folder)
    assert curate(folder, "auto") == 0
    said = capsys.readouterr().out
    assert "copy.png" in said
    assert "1 image rejected; their files stay." in said
    assert "copy.png" not in names(folder)
    assert curate(folder, "auto") == 0
    assert "nothing to do" in capsys.readouterr().out
    assert curate(folder, "undo") == 0
    assert "copy.png" in names(folder)


def test_auto_spares_what_is_kept_and_other_rules(folder: Path, capsys: Said) -> None:
    assert curate(folder, "auto", "--rule", "D16") == 0
    assert "nothing to do" in capsys.readouterr().out
    curate(folder, "keep", "copy.png")
    capsys.readouterr()
    assert curate(folder, "auto", "--json") == 0
    assert document(capsys)["decisions"] == []


def test_solve_shows_the_table_and_decides(folder: Path, capsys: Said) -> None:
    assert curate(folder, "solve", "--dry-run", "--steps", "60", "--batch", "2", "--epochs", "1") == 0
    said = capsys.readouterr().out
    assert "primary" in said
    assert "60 wanted" in said
    assert {item.repeats for item in read(folder).items} == {1, 3}
    assert curate(folder, "solve", "--steps", "60", "--batch", "2", "--epochs", "1", "--json") == 0
    shown = document(capsys)
    assert shown["recorded"] is True
    assert abs(shown["steps"] - 60) <= 2
    assert shown["influence"] == pytest.approx(2, rel=0.125)
    groups = {group["name"]: group["repeats"] for group in shown["groups"]}
    items = read(folder).items
    assert {item.role: item.repeats for item in items} == {"primary": groups["primary"], None: groups["supporting"]}
    assert curate(folder, "undo") == 0
    assert {item.repeats for item in read(folder).items} == {1, 3}


def test_solved_steps_are_the_plans(folder: Path, capsys: Said) -> None:
    assert curate(folder, "solve", "--steps", "50", "--batch", "2", "--epochs", "2", "--json") == 0
    solved = document(capsys)
    overrides = ["--set", "batch_size=2", "--set", "epochs=2", "--set", "target_steps=50"]
    assert run(["plan", str(folder), "--json", "--no-rehearse", *overrides]) == 0
    assert 2 * document(capsys)["steps_per_epoch"] == solved["steps"]


def test_alter_collage_and_undo(folder: Path, capsys: Said) -> None:
    assert curate(folder, "alter", "001.png", "--operation", "flip", "--operation", "grayscale", "--count", "2") == 0
    said = capsys.readouterr().out
    assert "001-flip.png" in said
    assert "2 new in" in said
    assert curate(folder, "collage", "001.png", "002.png", "--json") == 0
    (made,) = document(capsys)["made"]
    assert made["sources"] == ["001.png", "002.png"]
    assert len([name for name in names(folder) if name.startswith("made/")]) == 3
    curate(folder, "undo", "2")
    assert not [name for name in names(folder) if name.startswith("made/")]


def test_replacing_clones(folder: Path, capsys: Said) -> None:
    assert curate(folder, "alter", "--replace-clones") == 0
    assert "1 new in" in capsys.readouterr().out
    assert [item.name for item in read(folder).rejected] == ["copy.png"]
    assert curate(folder, "alter", "--replace-clones") == 0
    assert "no identical copies" in capsys.readouterr().out


def test_cut_with_and_without_boxes(folder: Path, capsys: Said) -> None:
    draw(50, (200, 300)).save(folder / "images" / "only.png")
    assert curate(folder, "cut", "only.png") == 0
    said = capsys.readouterr().out
    assert "18 new in" in said
    assert "nothing here knows where head or hair are" in said
    assert "no caption yet" in said
    boxes = ["--box", "10,10,80,90", "--as", "head", "--box", "0,0,200,200", "--as", "body"]
    assert curate(folder, "cut", "only.png", *boxes, "--count", "15", "--json") == 0
    assert len(document(capsys)["made"]) == 15
    assert {facet for item in read(folder).items for facet in item.facets} == {"head", "body"}


def test_adopt_takes_prompts_along(folder: Path, tmp_path: Path, capsys: Said) -> None:
    info = PngInfo()
    info.add_text("parameters", "zbk, rain <lora:zbk:0.8>\nSteps: 4, Sampler: Euler, Seed: 3")
    (tmp_path / "kept").mkdir()
    draw(60, (32, 32)).save(tmp_path / "kept" / "a.png", pnginfo=info)
    draw(61, (32, 32)).save(tmp_path / "kept" / "b.png")
    assert curate(folder, "adopt", str(tmp_path / "kept")) == 0
    said = capsys.readouterr().out
    assert "2 new in" in said
    assert "round 2 has 9 images; 25 to 35 are advised (D15)" in said
    assert "without a caption: b.png" in said
    captions = {item.name: item.caption for item in read(folder).items if item.lineage}
    assert captions == {"made/round2-a.png": "zbk, rain", "made/round2-b.png": None}


def test_refused_words_come_in_by_no_door(folder: Path, tmp_path: Path, capsys: Said) -> None:
    minor, sexual = refused_words()
    (folder / "images" / "001.txt").write_text(sexual, "utf-8")
    (folder / "images" / "002.txt").write_text(minor, "utf-8")
    info = PngInfo()
    info.add_text("parameters", f"{minor}, {sexual}\nSteps: 4, Sampler: Euler, Seed: 3")
    draw(60, (32, 32)).save(tmp_path / "a.png", pnginfo=info)
    assert curate(folder, "label", "001.png", "--as", minor) == 12
    assert curate(folder, "collage", "001.png", "002.png") == 12
    assert curate(folder, "cut", "001.png", "--box", "0,0,50,50", "--as", minor) == 12
    assert curate(folder, "adopt", str(tmp_path / "a.png")) == 12
    second = PngInfo()
    second.add_text("parameters", f'{minor}\nSteps: 4, Sampler: Euler, Seed: 3, Hires prompt: "{sexual}"')
    draw(60, (32, 32)).save(tmp_path / "b.png", pnginfo=second)
    assert curate(folder, "adopt", str(tmp_path / "b.png")) == 12
    assert "no setting" in capsys.readouterr().err
    assert not (folder / "made").exists()
    assert not (folder / "curation.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reject", "04.pgn"], "Did you mean"),
        (["reject", "3_primary"], "That is a folder"),
        (["repeats", "000.png"], "Give --times N"),
        (["repeats", "000.png", "--times", "0"], "curate reject"),
        (["crop", "000.png"], "--box X,Y,W,H"),
        (["crop", "000.png", "--box", "a,b"], "not four whole numbers"),
        (["crop", "000.png", "--box", "0,0,65,64"], "not inside 000.png"),
        (["label", "000.png", "--as", "a, b"], "without commas"),
        (["unlabel", "000.png", "--as", "a"], "They have no labels"),
        (["auto", "--rule", "D99"], "no such rule"),
        (["undo"], "nothing to undo"),
        (["solve", "--influence", "0"], "out of range"),
        (["solve", "--batch", "0"], "--batch 0"),
        (["alter"], "--replace-clones alone"),
        (["alter", "000.png", "--operation", "mirror"], "Operations: crop"),
        (["collage", "000.png", "001.png", "--layout", "ring"], "Layouts: side"),
        (["collage", "000.png"], "takes 2 to 6 images, not 1"),
        (["cut", "00*"], "one is cut at a time"),
        (["cut", "000.png", "--box", "0,0,40,40", "--box", "0,0,50,50", "--as", "x"], "2 boxes, 1 names"),
        (["cut", "000.png", "--count", "3"], "15 to 20"),
        (["adopt", "nowhere.png"], "no such picture"),
    ],
)
def test_wrong_calls_say_the_way_out(folder: Path, words: list[str], message: str, capsys: Said) -> None:
    assert run(["curate", words[0], str(folder), *words[1:]]) in (2, 5)
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (folder / "curation.jsonl").exists()
    assert not (folder / "made").exists()


def test_when_all_are_rejected_they_can_be_kept_again(folder: Path) -> None:
    assert curate(folder, "reject", "*") == 0
    assert names(folder) == []
    assert run(["plan", str(folder)]) == 5
    assert curate(folder, "keep", "*") == 0
    assert len(names(folder)) == 7
