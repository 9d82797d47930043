"""`lorasmith library`: every command for a person and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lorasmith.cli.main import run
from tests.library.files import write_adapter


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two adapters, and a home of the test's own."""
    monkeypatch.setenv("LORASMITH_HOME", str(tmp_path / "home"))
    loras = tmp_path / "Lora"
    write_adapter(loras / "zbk.safetensors", 1, modelspec__trigger_phrase="zbk girl", ss_output_name="zebka")
    write_adapter(loras / "other.safetensors", 2)
    return loras


def document(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_without_a_library_it_is_said_how_to_make_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["library", "list"]) == 2
    assert "lorasmith library scan FOLDER" in capsys.readouterr().err
    assert run(["library", "scan"]) == 2
    assert "lorasmith library scan FOLDER" in capsys.readouterr().err


def test_the_road(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = document(["library", "scan", str(folder)], capsys)
    assert (report["files"], report["new"], report["hashed"], report["folders"]) == (2, 2, 2, [str(folder)])
    listed = document(["library", "list", "--family", "sdxl"], capsys)
    assert [entry["name"] for entry in listed["entries"]] == ["other", "zbk"]
    found = document(["library", "search", "girl"], capsys)
    assert [entry["name"] for entry in found["entries"]] == ["zbk"]
    shown = document(["library", "show", "zbk girl"], capsys)["entries"][0]
    assert shown["triggers"] == ["zbk girl"]
    assert set(shown["hashes"]) >= {"SHA256", "AutoV2", "AutoV3"}
    assert document(["library", "show", shown["hashes"]["AutoV3"]], capsys)["entries"][0]["name"] == "zbk"
    noted = document(["library", "notes", "zebka", "good", "--rating", "4", "--favourite", "--sidecar"], capsys)
    assert (noted["entries"][0]["notes"], noted["entries"][0]["rating"]) == ("good", 4)
    assert json.loads((folder / "zbk.json").read_text("utf-8")) == {"activation text": "zbk girl", "notes": "good"}
    assert document(["library", "collect", "best", "zbk", "other"], capsys) == {"collections": {"best": 2}}
    assert document(["library", "collect", "best", "other", "--out"], capsys) == {"collections": {"best": 1}}
    assert document(["library", "dups"], capsys)["same"] == []
    (folder / "other.safetensors").unlink()
    assert document(["library", "scan"], capsys)["gone"] == 1
    assert document(["library", "forget", "--gone"], capsys)["forgotten"] == [str(folder / "other.safetensors")]
    assert document(["library", "forget", "--folder", str(folder)], capsys)["notes"] is not None
    assert document(["library", "list"], capsys)["total"] == 0


def test_for_a_person(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "cut.safetensors").write_bytes((folder / "zbk.safetensors").read_bytes()[:-4])
    (folder / "copy.safetensors").write_bytes((folder / "zbk.safetensors").read_bytes())
    assert run(["library", "scan", str(folder)]) == 0
    assert "4 files in 1 folder: 4 new, 1 broken." in capsys.readouterr().out
    for words, expected in (
        (["list"], "zbk girl"),
        (["list", "--broken"], "cut short or damaged"),
        (["list", "--limit", "1"], "the next ones: --page 2"),
        (["list", "--page", "9"], "behind the last one"),
        (["search", "nothing"], "nothing is there"),
        (["show", "zbk"], "zbk (recorded as zebka)"),
        (["dups"], "the same file, 0.0 MB each"),
        (["notes", "zbk"], "no notes."),
        (["collect"], "no collection yet."),
        (["collect", "a", "zbk"], "a: 1 file"),
        (["forget", "zbk"], "1 file forgotten"),
    ):
        assert run(["library", *words]) == 0, words
        assert expected in capsys.readouterr().out, words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["show", "zkb"], "Did you mean zbk?"),
        (["list", "--kind", "lora"], "Known: adapter, base, other, any."),
        (["list", "--size", "big"], "Write megabytes"),
        (["list", "--order", "age"], "Known: name, added"),
        (["notes", "zbk", "--rating", "7"], "1 to 5"),
        (["forget"], "nothing to forget"),
        (["forget", "--folder", "nowhere"], "no folder of the library"),
        (["scan", "nowhere"], "no such folder"),
    ],
)
def test_faults(words: list[str], expected: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["library", "scan", str(folder), "--json"]) == 0
    assert run(["library", *words]) == 2
    assert expected in capsys.readouterr().err


def test_lists_import_nothing_heavy(folder: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom lorasmith.cli.main import run\n"
        f"assert run(['library', 'scan', {str(folder)!r}]) == 0 and run(['library', 'list']) == 0\n"
        "heavy = sorted(set(sys.modules) & {'torch', 'diffusers', 'transformers', 'huggingface_hub'})\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
