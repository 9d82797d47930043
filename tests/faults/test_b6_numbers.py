"""B6: factors in eight bits are read; embeddings in an adapter's file are no error and stay with it.

The numbers are those of safetensors (`safetensors/src/tensor.rs`, Dtype). OneTrainer and A1111's web UI put embeddings
into adapter files under ``bundle_emb.`` (OneTrainer, StableDiffusionXLLoRASaver._get_state_dict; A1111,
extensions-builtin/Lora/networks.py, load_network).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lorasmith.adapters.catalogue import Catalogue
from lorasmith.adapters.container import header_bytes, payload_bytes
from lorasmith.adapters.files import load_adapter
from lorasmith.cli.main import run
from tests.faults.make_adapters import KOHYA, SGM, make_adapter


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_eight_bits_are_read(dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "eight.safetensors"
    save_file({key: tensor.to(dtype) for key, tensor in SGM.items()}, path)
    (factors,) = load_adapter(path).layers.values()
    for suffix, tensor in factors.to_tensors().items():
        assert torch.equal(tensor, SGM[f"{KOHYA}.{suffix}"].to(dtype).float())
    assert run(["adapter", "verify", str(path)]) == 0
    assert run(["adapter", "show", str(path)]) == 0
    edited = tmp_path / "edited.safetensors"
    assert run(["adapter", "edit", str(path), "--set", "trigger=zbk", "--out", str(edited)]) == 0
    assert {tensor.dtype for tensor in load_file(edited).values()} == {dtype}
    assert run(["adapter", "verify", str(edited)]) == 0


def test_a_broken_number_of_eight_bits_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "eight.safetensors"
    broken = {key: tensor.clone() for key, tensor in SGM.items()}
    broken[f"{KOHYA}.lora_up.weight"][3, 1] = float("nan")
    save_file({key: tensor.to(torch.float8_e4m3fn) for key, tensor in broken.items()}, path)
    assert run(["adapter", "verify", str(path)]) == 1
    assert "lora_up.weight holds NaN" in capsys.readouterr().out


def test_tensors_of_all_types_lie_as_the_library_lays_them() -> None:
    from safetensors.torch import save

    types = (torch.float8_e5m2, torch.float8_e4m3fn, torch.float16, torch.bfloat16, torch.float32, torch.int8)
    tensors = {f"{number}": torch.ones(3, 2).to(dtype) for number, dtype in enumerate(types)}
    assert header_bytes(tensors, {}) + payload_bytes(tensors) == save(tensors)


def test_bundled_embeddings_stay_with_the_adapter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = make_adapter(tmp_path, "bundled_embedding")
    keys = {"bundle_emb.ann.clip_l", "bundle_emb.ann.clip_g"}
    assert load_adapter(file).embeddings.keys() == keys
    assert Catalogue([tmp_path]).entries()[0].problem is None
    assert run(["adapter", "show", str(file), "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["adapters"]
    assert (shown["embeddings"], shown["skipped"], shown["layers"]["unet"]) == (["ann"], [], 1)
    for to in ("kohya", "diffusers", "lora"):
        out = tmp_path / f"{to}.safetensors"
        assert run(["adapter", "convert", str(file), "--to", to, "--out", str(out)]) == 0
        assert keys <= load_file(out).keys()
        assert load_adapter(out).embeddings.keys() == keys


def test_what_slider_tools_append_is_passed_over(tmp_path: Path) -> None:
    """OneTrainer, load_lora_util.py, normalize_various: ``_aux.`` is bookkeeping."""
    path = tmp_path / "slider.safetensors"
    save_file(SGM | {"_aux.0123abcd": torch.zeros(3)}, path)
    assert load_adapter(path).layers.keys() == {KOHYA}
