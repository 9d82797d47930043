"""The shelf: names, nearest names, and how much stays loaded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import save_adapter
from lorasmith.errors import AdapterError, PromptError


def put(folder: Path, name: str, recorded: str | None = None, value: float = 1.0) -> Path:
    factors = LoraFactors(torch.full((2, 8), value), torch.ones(4, 2), 1.0)
    metadata = {} if recorded is None else {"ss_output_name": recorded}
    return save_adapter(folder / f"{name}.safetensors", Adapter(name, {"lora_unet_x": factors}, metadata))


BYTES = (2 * 8 + 4 * 2) * 4


def test_names_are_stems_below_the_folders(tmp_path: Path) -> None:
    put(tmp_path, "beta"), put(tmp_path / "deep" / "er", "alpha.v2")
    (tmp_path / ".hidden.safetensors").write_text("partial")
    (tmp_path / "note.txt").write_text("not an adapter")
    shelf = AdapterCache([tmp_path, tmp_path / "missing"])
    assert shelf.names() == ["alpha.v2", "beta"]
    assert shelf.path("alpha.v2") == tmp_path / "deep" / "er" / "alpha.v2.safetensors"
    assert shelf.get("beta").name == "beta"


def test_a_folder_may_be_one_file(tmp_path: Path) -> None:
    assert AdapterCache([put(tmp_path, "one")]).names() == ["one"]


def test_one_stem_in_two_folders_is_two_adapters(tmp_path: Path) -> None:
    first, second = put(tmp_path / "1", "same"), put(tmp_path / "2", "same")
    shelf = AdapterCache([tmp_path / "2", tmp_path / "1"])
    assert shelf.names() == ["1/same", "2/same"]
    assert (shelf.path("1/same"), shelf.path("2/same")) == (first, second)


def test_the_recorded_name_serves_when_it_is_one_files(tmp_path: Path) -> None:
    put(tmp_path, "zbk-000002", recorded="zbk")
    shelf = AdapterCache([tmp_path])
    assert shelf.path("zbk").stem == "zbk-000002"
    put(tmp_path, "zbk-000004", recorded="zbk")
    with pytest.raises(PromptError, match="zbk-000002, zbk-000004"):
        shelf.path("zbk")
    put(tmp_path, "zbk")
    assert shelf.path("zbk").stem == "zbk"


def test_unknown_names_suggest_the_nearest(tmp_path: Path) -> None:
    for name in ("chair", "moonlit-style"):
        put(tmp_path, name)
    with pytest.raises(PromptError, match="Did you mean chair"):
        AdapterCache([tmp_path]).get("chiar")
    with pytest.raises(PromptError, match="There are: chair, moonlit-style"):
        AdapterCache([tmp_path]).get("qqq")
    with pytest.raises(PromptError, match="No adapters in"):
        AdapterCache([tmp_path / "nothing"]).get("chair")


def test_a_broken_file_fails_only_when_it_is_asked_for(tmp_path: Path) -> None:
    put(tmp_path, "good", recorded="other")
    (tmp_path / "bad.safetensors").write_text("broken")
    shelf = AdapterCache([tmp_path])
    assert shelf.get("other").name == "good"
    with pytest.raises(AdapterError):
        shelf.get("bad")


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path, name)
    shelf = AdapterCache([tmp_path], capacity=2 * BYTES)
    kept = {name: shelf.get(name) for name in "ab"}
    assert shelf.get("a") is kept["a"]
    shelf.get("c")
    assert shelf.bytes == 2 * BYTES
    assert shelf.get("a") is kept["a"]
    assert shelf.get("b") is not kept["b"]


def test_one_adapter_larger_than_the_shelf_is_still_given(tmp_path: Path) -> None:
    put(tmp_path, "a")
    shelf = AdapterCache([tmp_path], capacity=1)
    assert shelf.get("a") is shelf.get("a")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = put(tmp_path, "a", value=1.0)
    shelf = AdapterCache([tmp_path])
    old = shelf.get("a")
    put(tmp_path, "a", value=2.0)
    os.utime(path, ns=(1, 1))
    new = shelf.get("a")
    assert float(old.layers["lora_unet_x"].trained()["down"][0, 0]) == 1.0
    assert float(new.layers["lora_unet_x"].trained()["down"][0, 0]) == 2.0
    assert shelf.bytes == BYTES
