"""A server that draws with adapters from a store."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.adapters.files import save_adapter
from lorasmith.adapters.stored.manifest import write_manifest
from lorasmith.bases.base import load_base
from lorasmith.errors import StorageError
from lorasmith.server.service import Service
from tests.adapters.drawing import trained_adapter
from tests.server.running import plain_settings, running

SMALL = {"prompt": "red hat <lora:zbk:0.8>", "seed": 5, "steps": 2, "width": 64, "height": 64}


@pytest.mark.parametrize("listed", [False, True])
def test_pictures_are_those_of_a_folder(tiny_base_folder: Path, tmp_path: Path, listed: bool) -> None:
    folder = tmp_path / "adapters"
    folder.mkdir()
    adapter = trained_adapter(load_base(tiny_base_folder), rank=4, alpha=4.0)
    save_adapter(folder / "zbk.safetensors", adapter, torch.float32)
    if listed:
        write_manifest(folder)
    bases = (str(tiny_base_folder),)
    drawn = []
    here = plain_settings(tmp_path / "here", adapters=(folder,), bases=bases)
    there = plain_settings(tmp_path / "there", stores=(f"file://{folder}",), cache=tmp_path / "cache", bases=bases)
    for settings in (here, there):
        with running(settings) as (client, _):
            answers = [client.post("/sdapi/v1/txt2img", json=SMALL).json() for _ in range(2)]
            drawn.append([answer["images"] for answer in answers])
            assert [each["name"] for each in client.get("/sdapi/v1/loras").json()] == ["zbk"]
            figures = client.get("/metrics").text
            unknown = client.post("/sdapi/v1/txt2img", json={**SMALL, "prompt": "<lora:hat:1>"})
            assert unknown.status_code == 422
            assert 'adapter "hat" is unknown.' in unknown.json()["error"]["message"]
    assert drawn[0] == drawn[1]
    assert "lorasmith_adapter_factors_hits_total 1\n" in figures
    assert "lorasmith_adapter_factors_misses_total 1\n" in figures
    assert "lorasmith_adapter_files_misses_total 1\n" in figures


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("nowhere://x", r"^nowhere://x: cannot be opened: Protocol not known: nowhere"),
        ("http://127.0.0.1:9/x", r"^http://127\.0\.0\.1:9/x: (the store does not answer|cannot be opened): "),
    ],
)
def test_a_store_that_cannot_be_asked_is_told_at_the_start(tmp_path: Path, url: str, wrong: str) -> None:
    with pytest.raises(StorageError, match=wrong):
        Service(plain_settings(tmp_path, stores=(url,)), [])
    Service(plain_settings(tmp_path), []).stop()


def test_a_cache_smaller_than_an_adapter_is_told_the_client(tiny_base_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapters"
    folder.mkdir()
    save_adapter(folder / "zbk.safetensors", trained_adapter(load_base(tiny_base_folder)), torch.float32)
    settings = plain_settings(
        tmp_path,
        stores=(f"file://{folder}",),
        cache=tmp_path / "cache",
        cache_bytes=100,
        bases=(str(tiny_base_folder),),
    )
    with running(settings) as (client, _):
        answer = client.post("/sdapi/v1/txt2img", json=SMALL)
    assert answer.status_code >= 500
    assert "the cache of files holds 100 in all." in answer.json()["error"]["message"]
