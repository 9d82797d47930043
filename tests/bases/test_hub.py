"""Bases of the hub: from its cache without a network, and one clear error for everything else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from lorasmith.bases.base import load_base
from lorasmith.bases.hub import cached_base, chosen_files, fetch_base, is_hub_id
from lorasmith.errors import BaseError
from tests.hub import hub_snapshot


def test_a_cached_base_needs_no_network(hub_cache: Path, tiny_base_folder: Path) -> None:
    folder = hub_snapshot(hub_cache, "owner/tiny")
    assert cached_base("owner/tiny") is None
    shutil.copytree(tiny_base_folder, folder)
    assert fetch_base("owner/tiny") == folder
    base = load_base("owner/tiny")
    assert (base.name, base.family.name, base.folder) == ("tiny", "sd1", folder)


def test_offline_without_a_cache(hub_cache: Path) -> None:
    assert not hub_cache.exists()
    with pytest.raises(BaseError, match=r"hub cannot be reached.*go online for the first use"):
        load_base("owner/model")


def test_a_path_that_is_none_is_told_as_such(hub_cache: Path, tmp_path: Path) -> None:
    assert not hub_cache.exists()
    with pytest.raises(BaseError, match="no such file"):
        load_base(str(tmp_path / "missing.safetensors"))


def test_ids() -> None:
    assert is_hub_id("owner/model")
    assert is_hub_id("owner/model/file.safetensors")
    assert not any(
        map(is_hub_id, ("model", "models/a.safetensors", "/tmp/model", "../model", "a/../b", "a//b", "a/b/", "~/model"))
    )


FILES = [
    "README.md", "model_index.json", "v1.safetensors", "scheduler/scheduler_config.json", "tokenizer/vocab.json",
    "tokenizer/merges.txt", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.bin", "vae/config.json", "vae/diffusion_pytorch_model.fp16.safetensors",
    "text_encoder/config.json", "text_encoder/model.safetensors", "safety_checker/model.safetensors",
]  # fmt: skip


def test_only_what_is_loaded_is_fetched() -> None:
    assert set(chosen_files(FILES)) == {
        "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors", "vae/config.json", "vae/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/config.json", "text_encoder/model.safetensors",
    }  # fmt: skip
    assert chosen_files(["v1.safetensors"]) == []


def listing(monkeypatch: pytest.MonkeyPatch, files: list[str], got: list[str]) -> None:
    siblings = [SimpleNamespace(rfilename=file) for file in files]
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: SimpleNamespace(siblings=siblings))
    kept = huggingface_hub.hf_hub_download

    def download(repository: str, file: str, **more: Any) -> str:
        if more.get("local_files_only"):
            return kept(repository, file, **more)  # type: ignore[no-any-return]
        got.append(file)
        return f"/cache/{repository}/{file}"

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)


def test_a_folder_and_a_file_are_fetched(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not hub_cache.exists()
    got: list[str] = []
    listing(monkeypatch, FILES, got)
    assert fetch_base("owner/model") == Path("/cache/owner/model")
    assert got == chosen_files(FILES)
    got.clear()
    assert fetch_base("owner/model/v1.safetensors") == Path("/cache/owner/model/v1.safetensors")
    assert got == ["v1.safetensors"]
    listing(monkeypatch, ["v1.safetensors"], got)
    with pytest.raises(BaseError, match=r"holds no base.*owner/model/v1\.safetensors"):
        fetch_base("owner/model")


def test_weights_of_another_model_are_not_fetched(
    hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLUX has all the folders that Z-Image has; its configurations tell."""
    assert not hub_cache.exists()
    parts = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")
    files = [f"{part}/{name}" for part in parts for name in ("config.json", "model.safetensors")]
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text(json.dumps({"_class_name": "FluxTransformer2DModel"}))
    got: list[str] = []
    listing(monkeypatch, files, got)
    kept = huggingface_hub.hf_hub_download

    def download(repository: str, file: str, **more: Any) -> str:
        kept(repository, file, **more)
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(BaseError, match=r"is FLUX: it has a transformer"):
        fetch_base("owner/flux")
    assert not [file for file in got if file.endswith(".safetensors")]
