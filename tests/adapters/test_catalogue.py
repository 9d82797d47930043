"""The catalogue: one scan, headers read once, and what is told of names that are not there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lorasmith.adapters.catalogue import Catalogue
from lorasmith.container import read_container
from lorasmith.errors import PromptError
from tests.adapters.test_cache import put
from tests.adapters.test_hostile import entry, written


def test_what_comes_changes_and_goes_is_noticed(tmp_path: Path) -> None:
    first = put(tmp_path / "deep", "one", recorded="uno")
    (tmp_path / "bad.safetensors").write_text("broken")
    found = Catalogue([tmp_path, tmp_path / "missing"])
    bad, one = found.entries()
    assert (bad.name, bad.alias, bad.metadata) == ("bad", "bad", {})
    assert bad.problem
    assert (one.file, one.path, one.alias, one.problem) == ("deep/one.safetensors", first, "uno", None)
    assert one.bytes == first.stat().st_size
    put(tmp_path / "deep", "one", recorded="due")
    os.utime(first, ns=(1, 1))
    (tmp_path / "bad.safetensors").unlink()
    assert [entry.alias for entry in found.entries()] == ["due"]


def test_a_project_has_other_files_than_adapters(tmp_path: Path) -> None:
    put(tmp_path / "runs", "zbk")
    put(tmp_path / ".lorasmith" / "latents", "hidden")
    (tmp_path / "state").mkdir()
    save_file({"0.factors.unet": torch.zeros(2)}, tmp_path / "state" / "state.safetensors")
    found = Catalogue([tmp_path])
    assert found.names() == ["state", "zbk"]
    state, adapter = found.entries()
    assert adapter.problem is None
    assert state.problem is not None
    assert "no layer of an adapter" in state.problem


def test_headers_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        put(tmp_path, name, recorded=name * 2)
    read: list[Path] = []
    really = read_container

    def count(path: Path, *told: object) -> object:
        read.append(path)
        return really(path, *told)  # type: ignore[arg-type]

    monkeypatch.setattr("lorasmith.adapters.catalogue.read_container", count)
    found = Catalogue([tmp_path])
    assert found.find("a", "b") == [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    assert read == []
    assert found.find("aa", "bb") == found.find("a", "b")
    found.entries()
    assert len(read) == 2


def test_folders_are_not_told_where_a_hint_is_given(tmp_path: Path) -> None:
    with pytest.raises(PromptError) as told:
        Catalogue([tmp_path]).find("chair", where="prompt", hint="Ask for the list.")
    assert (told.value.where, told.value.hint) == ("prompt", "Ask for the list.")
    put(tmp_path, "chair-a", recorded="chair")
    put(tmp_path, "chair-b", recorded="chair")
    with pytest.raises(PromptError, match="several files") as told:
        Catalogue([tmp_path]).find("chair", where="prompt", hint="Ask for the list.")
    assert told.value.hint == "Say which: chair-a, chair-b."


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; import lorasmith.adapters.catalogue; assert not set(sys.modules) & {'torch', 'numpy', 'diffusers'}"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_list_answers_whatever_headers_promise(tmp_path: Path) -> None:
    put(tmp_path, "good")
    metadata = {"ss_output_name": "x" * 10**6, "modelspec.trigger_phrase": "y" * 10**6, "ss_network_dim": "z" * 10**6}
    save_file({"lora_a.alpha": torch.ones(1)}, tmp_path / "wordy.safetensors", metadata=metadata)
    entries = {
        "wide": {"a": entry([1 << 62] * 100_000, 0, 4)},
        "named": {"k" * 10**6: entry([5], 0, 4)},
        "typed": {"a": entry([1], 0, 4, "F" * 10**6)},
        "malformed": {"k" * 10**6: None},
    }
    for name, table in entries.items():
        written(tmp_path / f"{name}.safetensors", table, b"\0" * 4)
    started = time.monotonic()
    told = {each.name: each for each in Catalogue([tmp_path]).entries()}
    assert time.monotonic() - started < 5
    assert told["good"].problem is None
    assert all(told[name].problem for name in entries)
    assert told["wordy"].alias == "wordy"
    words = [str(word) for each in told.values() for word in (each.alias, each.trigger, each.rank, each.problem)]
    assert max(map(len, words)) < 500
