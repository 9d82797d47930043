"""`lorasmith grid`."""

from __future__ import annotations

import copy
import hashlib
import json
import weakref
from pathlib import Path

import pytest
import torch
from PIL import Image

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.cli.main import run
from lorasmith.errors import UsageError
from lorasmith.face.drawing import base_of, find_adapters
from tests.adapters.drawing import trained_adapter


@pytest.fixture
def project(tmp_path: Path, tiny_base: Base) -> Path:
    """A project with two runs; the last one has two snapshots and a final adapter."""
    for seed, name in enumerate(("1/zbk", "2/snapshots/zbk-000001", "2/snapshots/zbk-000002", "2/zbk")):
        save_adapter(tmp_path / "runs" / f"{name}.safetensors", trained_adapter(tiny_base, seed=seed), torch.float32)
    return tmp_path


def test_which_adapters_are_meant(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert [file.stem for file in find_adapters(project)] == ["zbk-000001", "zbk-000002", "zbk"]
    assert [file.stem for file in find_adapters(project / "runs" / "1")] == ["zbk"]
    assert find_adapters(project / "runs" / "2" / "zbk.safetensors")[0].stem == "zbk"
    with pytest.raises(UsageError, match="no adapter"):
        find_adapters(tmp_path_factory.mktemp("empty"))
    with pytest.raises(UsageError, match="no such file"):
        find_adapters(project / "nowhere")


def test_one_base_is_in_memory_at_a_time(
    project: Path, tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alive: list[weakref.ref[Base]] = []
    opened: list[str] = []

    def open_base(name: str, *_: object, **__: object) -> Base:
        assert not [old for old in alive if old() is not None], f"an old base is there while {name} is loaded"
        base = copy.copy(tiny_base)
        base.__dict__["content_hash"] = hashlib.sha256(name.removesuffix(" again").encode()).hexdigest()
        alive.append(weakref.ref(base))
        opened.append(name)
        return base

    monkeypatch.setattr("lorasmith.bases.base.open_base", open_base)
    monkeypatch.setattr("lorasmith.generation.grids.cost.WORTH_MEASURING", 1)
    words = [
        "grid",
        str(project / "runs" / "1"),
        "--prompt",
        "hat",
        "--x",
        "base=one,one again,two",
        "--steps",
        "2",
        "--json",
    ]
    assert run([*words, "--out", str(tmp_path / "grids"), "--size", "64x64"]) == 0
    assert opened == ["one", "one again", "two", *["one again", "two"] * 2]  # checked, measured, drawn
    one, again, two = (cell["path"] for cell in json.loads(capsys.readouterr().out)["cells"])
    assert one == again != two  # a base by two names is drawn once


def test_a_run_drawn_as_a_grid_twice_and_its_favourites(
    project: Path, tiny_base_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["grid", str(project / "runs" / "2"), "--prompt", "red hat", "--strengths", "0.5", "--steps", "1"]
    words += ["--base", str(tiny_base_folder), "--out", str(tmp_path / "grids"), "--json"]
    assert run(words) == 0
    document = json.loads(capsys.readouterr().out)
    sheet = Path(document["grid"])
    assert sheet.name == "grid.png"
    assert sheet.is_file()
    assert [(cell["x"], cell["y"], cell["z"]) for cell in document["cells"]] == [
        *(("no adapter", "zbk-000001", None), ("strength 0.5", "zbk-000001", None)),
        *(("no adapter", "zbk-000002", None), ("strength 0.5", "zbk-000002", None)),
        *(("no adapter", "zbk", None), ("strength 0.5", "zbk", None)),
    ]
    for cell in document["cells"]:
        with Image.open(cell["path"]) as picture:
            assert picture.size == (64, 64)
    assert run([*words, "--cost"]) == 0
    cost = json.loads(capsys.readouterr().out)["cost"]
    assert (cost["pictures"], cost["kept"], cost["steps"]) == (4, 4, 0)
    assert run(words) == 0
    assert json.loads(capsys.readouterr().out) == document

    assert run([*words[:-1], "--x", "steps=1,0", "--z", "seed=1,2"]) == 0  # for a person
    said = capsys.readouterr().out
    assert "--steps: 0 is not between" in said
    assert "grid-2.png" in said
    assert "index.html" in said

    record = json.loads(Path(document["record"]).read_text("utf-8"))
    marks = tmp_path / "favourites.json"
    key = record["cells"][1]["key"]
    marks.write_text(json.dumps({"kind": "lorasmith marks", "of": record["id"], "marks": {key: "favourite"}}))
    assert run(["grid", "pick", str(marks), str(sheet.parent), "--json"]) == 0
    (picked,) = json.loads(capsys.readouterr().out)["pictures"]
    assert Path(picked["path"]).read_bytes() == Path(document["cells"][1]["path"]).read_bytes()


def test_the_base_is_the_projects_own(project: Path, tiny_base_folder: Path) -> None:
    file = project / "runs" / "1" / "zbk.safetensors"
    assert base_of(file) == "doodle"
    text = f'[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\nbase = "{tiny_base_folder}"\n'
    (project / "lora.toml").write_text(text)
    assert base_of(file) == str(tiny_base_folder)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs adapters, or an axis"),
        (["runs/1", "--name", "../away"], "is not a folder's name"),
        (["runs/1", "--out", ".", "--name", "runs"], "holds other things"),
        (["runs/1", "--set", "hires.scale"], "FIELD=VALUE"),
        (["runs/1", "--set", "seed=1-3"], "gives 3 values"),
        (["runs/1", "--set", "hires.scael=2"], "hires.scale"),
    ],
)
def test_wrong_calls(
    project: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(project)
    assert run(["grid", *words, "--prompt", "a"]) == 2
    assert message in capsys.readouterr().err
