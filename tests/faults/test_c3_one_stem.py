"""C3: one stem in two folders is two adapters, each called with its folder, by every face.

A1111 collides there: `extensions-builtin/Lora/networks.py`, `list_available_networks`, keeps one file of each stem.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lorasmith.adapters.catalogue import Catalogue, name_files
from lorasmith.adapters.files import save_adapter
from lorasmith.adapters.header import addnet_hash
from lorasmith.bases.base import Base
from lorasmith.cli.main import run
from lorasmith.errors import PromptError
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.settings import read_settings
from tests.adapters.drawing import trained_adapter
from tests.adapters.test_cache import put
from tests.projects import build_project
from tests.server.running import finished, plain_settings, running

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two adapters of one name that differ, and one with a name of its own."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("sub1/same", "sub2/same", "own")):
        save_adapter(
            tmp_path / "adapters" / f"{name}.safetensors", trained_adapter(tiny_base, seed=seed), torch.float32
        )
    return tmp_path / "adapters"


def listed(*folders: Path) -> dict[str, str]:
    return {entry.name: entry.file for entry in Catalogue(folders).entries()}


def test_both_are_listed_with_their_folder(tmp_path: Path) -> None:
    for name in ("sub1/same", "sub2/same", "deep/er/own"):
        put(tmp_path, name)
    assert listed(tmp_path) == {
        "own": "deep/er/own.safetensors",
        "sub1/same": "sub1/same.safetensors",
        "sub2/same": "sub2/same.safetensors",
    }
    found = Catalogue([tmp_path])
    assert found.find("sub2/same", "sub2\\same", "er/own", "own")[0] == tmp_path / "sub2" / "same.safetensors"
    with pytest.raises(PromptError, match='"same" lies in several folders') as told:
        found.find("same")
    assert told.value.hint == "Say which: sub1/same, sub2/same."
    with pytest.raises(PromptError, match="unknown") as told:
        found.find("sub3/same")
    assert "sub1/same" in str(told.value.hint)


def test_as_many_folders_are_said_as_are_needed(tmp_path: Path) -> None:
    for name in ("a/x/same", "b/x/same", "c/same", "same"):
        put(tmp_path / "adapters", name)
    assert set(listed(tmp_path / "adapters")) == {"a/x/same", "b/x/same", "c/same", "adapters/same"}
    put(tmp_path / "more", "same")
    assert {"adapters/same", "more/same"} < set(listed(tmp_path / "adapters", tmp_path / "more"))
    assert (
        len(listed(tmp_path / "adapters", tmp_path / "adapters" / "c", tmp_path / "adapters" / "same.safetensors")) == 4
    )


def test_a_stem_that_comes_and_goes_changes_the_names(tmp_path: Path) -> None:
    put(tmp_path, "sub1/same")
    found = Catalogue([tmp_path])
    assert [entry.name for entry in found.entries()] == ["same"]
    second = put(tmp_path, "sub2/same")
    assert [entry.name for entry in found.entries()] == ["sub1/same", "sub2/same"]
    second.unlink()
    assert [entry.name for entry in found.entries()] == ["same"]


def test_a_recorded_name_does_not_hide_the_two(tmp_path: Path) -> None:
    put(tmp_path, "sub1/same"), put(tmp_path, "sub2/same"), put(tmp_path, "third", recorded="same")
    with pytest.raises(PromptError, match="several folders"):
        Catalogue([tmp_path]).find("same")


def test_files_are_named_alike_everywhere(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("runs/1/zbk.safetensors", "runs/2/zbk.safetensors", "own.safetensors")]
    assert name_files(files) == ["1/zbk", "2/zbk", "own"]
    assert name_files([files[0], files[0]]) == ["zbk", "zbk"]


def test_the_command_line_calls_each(folder: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    words = ["--base", str(tiny_base_folder), "--steps", "1", "--seed", "1", "--json"]
    hashes = []
    for name in ("sub1/same", "sub2/same"):
        assert run(["generate", f"red <lora:{name}:1>", *words]) == 0
        path = json.loads(capsys.readouterr().out)["pictures"][0]["path"]
        assert run(["picture", "show", path, "--json"]) == 0
        (shown,) = json.loads(capsys.readouterr().out)["pictures"]
        (used,) = shown["lorasmith"]["adapters"]
        assert used["name"] == name
        hashes.append(used["hash"])
        assert run(["picture", "redo", path, "--base", str(tiny_base_folder), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["same"]
    assert hashes == [addnet_hash(folder / name / "same.safetensors") for name in ("sub1", "sub2")]
    assert run(["generate", "red <lora:same:1>", *words]) == 8
    error = json.loads(capsys.readouterr().err)["error"]
    assert "sub1/same, sub2/same" in error["hint"]
    assert run(["prompt", "red <lora:sub2/same:1>", "--base", str(tiny_base_folder), "--json"]) == 0
    capsys.readouterr()
    assert run(["prompt", "red <lora:same:1>", "--base", str(tiny_base_folder)]) == 1
    assert "sub1/same, sub2/same" in capsys.readouterr().out


def test_a_grid_has_both(folder: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    files = [str(folder / name / "same.safetensors") for name in ("sub1", "sub2")]
    words = ["--prompt", "red", "--strengths", "1", "--steps", "1", "--base", str(tiny_base_folder), "--json"]
    assert run(["grid", *files, *words]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [cell["y"] for cell in cells] == ["sub1/same", "sub1/same", "sub2/same", "sub2/same"]
    assert not any(cell.get("error") for cell in cells)
    assert len({Path(cell["path"]).read_bytes() for cell in cells}) == 3


def test_the_exam_draws_both(folder: Path, tiny_base: Base) -> None:
    files = [folder / name / "same.safetensors" for name in ("sub1", "sub2")]
    settings = read_settings(build_project(folder.parent / "project"), {"steps": 1})
    artist = PipelineArtist(tiny_base, files, settings)
    pictures = artist.draw([Row("red", 1, file, 1.0) for file in files])
    assert pictures[0].tobytes() != pictures[1].tobytes()
    # One of them alone, though the other lies below its folder.
    alone = PipelineArtist(tiny_base, [files[0]], settings)
    assert alone.draw([Row("red", 1, files[0], 1.0)])[0].tobytes() == pictures[0].tobytes()


def test_the_server_lists_and_calls_both(folder: Path, tmp_path: Path, tiny_base_folder: Path) -> None:
    settings = plain_settings(tmp_path / "data", adapters=(folder,), bases=(str(tiny_base_folder),))
    with running(settings) as (client, _):
        names = {each["name"]: each["file"] for each in client.get("/api/v1/adapters").json()["adapters"]}
        assert {"own", "sub1/same", "sub2/same"} == set(names)
        assert {each["name"] for each in client.get("/sdapi/v1/loras").json()} == set(names)
        ask: dict[str, Any] = {"prompt": "red <lora:same:1>", "steps": 1}
        answer = client.post("/api/v1/jobs", json=ask)
        assert answer.status_code == 422
        assert "sub1/same, sub2/same" in answer.text
        job = client.post("/api/v1/jobs", json={**ask, "prompt": "red <lora:sub2/same:1>"})
        assert job.status_code == 202
        (drawn,) = finished(client, job.json()["id"])["pictures"]
        assert drawn["state"] == "done"
