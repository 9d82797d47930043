"""`lorasmith library get|search --hub|identify|update` from an empty folder, as a user types them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lorasmith.cli.main import run
from tests.adapters.drawing import trained_adapter
from tests.library.hubs.mock import TOKEN, Hubs, adapter_bytes, picture_bytes
from tests.library.hubs.serving import stock
from tests.refusal_words import refused_words


def call(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The JSON document of a command that succeeds."""
    code = run(["library", *words, "--json"])
    out = capsys.readouterr()
    assert code == 0, out.err
    document: dict[str, Any] = json.loads(out.out)
    return document


def test_the_whole_way_from_an_empty_folder(hubs: Hubs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stock(hubs)
    into = str(tmp_path / "models" / "Lora")
    found = call(capsys, "search", "teal", "--hub", "civitai")
    assert [model["reference"] for model in found["models"]] == ["civitai:12"]
    got = call(capsys, "get", found["models"][0]["reference"], "--into", into)
    assert got["family"] == "sd1"
    assert Path(got["path"]).parent == Path(into)
    salmon = call(capsys, "search", "salmon", "--hub", "hf")
    assert call(capsys, "get", salmon["models"][0]["reference"], "--into", into)["triggers"] == ["hfword"]
    again = call(capsys, "get", got["sha256"], "--into", into)
    assert again["was_there"]
    page = "https://civitai.com/models/12?modelVersionId=33"
    assert call(capsys, "get", page, "--into", into, "--name", "first")["path"].endswith("first.safetensors")
    call(capsys, "scan", into)
    listed = call(capsys, "list")
    assert sorted(entry["name"] for entry in listed["entries"]) == ["first", "salmon-lora", "teal"]
    assert call(capsys, "identify")["asked"] == 0
    newer = call(capsys, "update", "--again")["newer"]
    assert [each["reference"] for each in newer] == ["civitai:12@34"]


def test_pages_of_a_hub(hubs: Hubs, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(1, 8):
        hubs.add_model(number, f"Hat {number}", hubs.version(number, adapter_bytes(number)))
        hubs.add_repository(f"maker/hat-{number}", {"a.safetensors": adapter_bytes(number)})
    hubs.add_model(8, "Hat for grown-ups", hubs.version(8, adapter_bytes(8)), nsfw=True)
    minor, sexual = refused_words()
    hubs.add_model(9, f"Hat of a {sexual} {minor}", hubs.version(9, adapter_bytes(9)))
    for hub, count in (("civitai", 7), ("hf", 7)):
        seen: list[str] = []
        after: list[str] = []
        for _ in range(9):
            page = call(capsys, "search", "hat", "--hub", hub, "--limit", "3", *after)
            seen += [model["name"] for model in page["models"]]
            if not page["after"]:
                break
            after = ["--after", page["after"]]
        assert len(seen) == len(set(seen)) == count
        assert not any("loli" in name or "grown" in name for name in seen)
    assert len(call(capsys, "search", "hat", "--hub", "civitai", "--mature")["models"]) == 8


def test_what_is_said_to_a_person(hubs: Hubs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stock(hubs)
    assert run(["library", "search", "hair", "--hub", "civitai"]) == 0
    out = capsys.readouterr().out
    assert "civitai:12" in out
    assert "library get civitai:12" in out
    assert run(["library", "get", "civitai:12", "--into", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "<lora:teal:0.8>" in out
    assert "credit its author" in out
    assert run(["library", "get", "civitai:20", "--into", str(tmp_path)]) == 13
    err = capsys.readouterr().err
    assert "logged in" in err
    assert "CIVITAI_TOKEN" in err
    assert run(["library", "get", "civitai:25", "--into", str(tmp_path)]) == 2
    assert "--mature" in capsys.readouterr().err
    assert run(["library", "search", "x", "--hub", "elsewhere"]) == 2
    assert run(["library", "search", "x", "--hub", "hf", "--order", "best"]) == 2
    assert "lastModified" in capsys.readouterr().err


def test_a_token_is_in_nothing_that_is_written(
    hubs: Hubs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stock(hubs)
    monkeypatch.setenv("CIVITAI_TOKEN", TOKEN)
    assert run(["library", "get", "civitai:20", "--into", str(tmp_path / "in")]) == 0
    assert run(["library", "get", "civitai:21", "--into", str(tmp_path / "in")]) == 13
    out = capsys.readouterr()
    assert TOKEN not in out.out + out.err
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 3
    assert not any(TOKEN.encode() in file.read_bytes() for file in files)


def test_a_download_that_is_killed_goes_on(hubs: Hubs, tmp_path: Path) -> None:
    data = adapter_bytes(1, pad=6 << 20)
    hubs.add_model(12, "Teal hair", hubs.version(34, data, "teal.safetensors"))
    hubs.slow, hubs.piece = 0.1, 1 << 18
    into = tmp_path / "loras"
    command = [sys.executable, "-m", "lorasmith", "library", "get", "civitai:12", "--into", str(into), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size > 1 << 20 for part in into.glob(".*.part")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    parts = list(into.glob(".*.part"))
    assert len(parts) == 1
    there = parts[0].stat().st_size
    assert not (into / "teal.safetensors").exists()
    hubs.slow = 0.0
    hubs.log.clear()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (into / "teal.safetensors").read_bytes() == data
    assert hubs.seen("^/store/")[0].headers["range"] == f"bytes={there}-"
    assert sorted(file.name for file in into.iterdir()) == [
        "teal.civitai.info",
        "teal.json",
        "teal.preview.png",
        "teal.safetensors",
    ]


def test_previews_come_when_they_are_wanted(hubs: Hubs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = adapter_bytes(1)
    hubs.add_model(12, "Teal hair", hubs.version(34, data))
    hubs.keep(picture_bytes("red"))
    (tmp_path / "own.safetensors").write_bytes(data)
    call(capsys, "scan", str(tmp_path))
    assert call(capsys, "identify", "--previews")["known"] == 1
    assert (tmp_path / "own.preview.png").is_file()
    assert call(capsys, "list")["entries"][0]["preview"] == str(tmp_path / "own.preview.png")


def test_an_adapter_that_a_picture_names_by_hash_is_offered_and_fetched(
    hubs: Hubs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its infotext has a hash that nobody here knows; what is said to be done is done."""
    from lorasmith.adapters.files import save_adapter
    from lorasmith.bases.base import load_base

    monkeypatch.chdir(tmp_path)
    own = save_adapter(tmp_path / "theirs" / "theirs.safetensors", trained_adapter(load_base("doodle")))
    words = ["generate", "red hat <lora:theirs:0.8>", "--seed", "3", "--steps", "1", "--size", "64x64"]
    assert run([*words, "--adapters", str(own.parent), "--out", str(tmp_path / "out"), "--json"]) == 0
    picture = json.loads(capsys.readouterr().out)["pictures"][0]["path"]
    hubs.add_model(12, "Theirs", hubs.version(34, own.read_bytes(), "another-name.safetensors"))
    own.unlink()
    assert run(["picture", "redo", picture, "--json", "--out", str(tmp_path / "again")]) != 0
    offered = re.search(r"library get ([0-9a-f]+)", capsys.readouterr().err)
    assert offered is not None
    got = call(capsys, "get", offered[1], "--into", str(tmp_path / "loras"))
    assert Path(got["path"]).name == "another-name.safetensors"
    assert run(["picture", "redo", picture, "--json", "--out", str(tmp_path / "again")]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True
