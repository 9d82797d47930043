"""Files made to hurt: each gives one clear error, quickly and within bounded memory."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, read_header
from lorasmith.errors import AdapterError
from tests.adapters.toy import toy_base

LAYER = "lora_unet_attention_attn1_to_q"


def written(path: Path, table: Any, payload: bytes = b"", length: int | None = None) -> Path:
    """A safetensors file with this header table (or text), right or wrong."""
    text = table.encode() if isinstance(table, str) else json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + payload)
    return path


def entry(shape: list[Any], begin: Any, end: Any, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HEADERS: dict[str, Any] = {
    "overlap": {"a": entry([2], 0, 8), "b": entry([2], 4, 12)},
    "gap": {"a": entry([1], 0, 4), "b": entry([1], 8, 12)},
    "backwards": {"a": entry([1], 4, 0), "b": entry([2], 4, 12)},
    "beyond the end": {"a": entry([4], 0, 16)},
    "less than there is": {"a": entry([1], 0, 4)},
    "shape of no such size": {"a": entry([1 << 40, 1 << 40], 0, 12)},
    "many sizes": {"a": entry([1 << 62] * 100_000, 0, 12)},
    "many sizes of one": {"a": entry([1] * 100_000 + [3], 0, 12)},
    "many sizes and a zero": {"a": entry([1 << 62] * 30 + [0], 0, 12)},
    "many tensors of many sizes": {str(at): entry([1 << 62] * 30, 0, 12) for at in range(5000)},
    "negative shape": {"a": entry([-1, -3], 0, 12)},
    "fractional shape": {"a": entry([3.7], 0, 12)},
    "true as a size": {"a": entry([True, 3], 0, 12)},
    "text as an offset": {"a": entry([3], "0", "12")},
    "huge numbers": {"a": entry([1 << 70, 0], 0, 0), "b": entry([3], 0, 12)},
    "type of no adapter": {"a": entry([12], 0, 12, "F8_E4M3")},
    "type unheard of": {"a": entry([3], 0, 12, "../../etc/passwd")},
    "key twice": f'{{"a": {json.dumps(entry([3], 0, 12))}, "a": {json.dumps(entry([3], 0, 12))}}}',
    "metadata of numbers": {"__metadata__": {"a": 1}, "b": entry([3], 0, 12)},
    "a list": [1, 2, 3],
    "deep": "[" * 50_000,
    "deep tables": '{"a":' * 50_000,
    "no JSON": "\x00\x01\x02",
    "not even text": "\udcff".encode("utf-8", "surrogatepass").decode("latin-1"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_are_not_trusted(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "bad.safetensors", HEADERS[name], b"\0" * 12)
    with pytest.raises(AdapterError, match=r"bad\.safetensors"):
        load_adapter(path)


@pytest.mark.parametrize("length", [0, 1, 1 << 30, (1 << 63) - 1, (1 << 64) - 1])
def test_a_promised_length_reserves_no_memory(length: int, tmp_path: Path) -> None:
    path = written(tmp_path / "bad.safetensors", {"a": entry([1], 0, 4)}, b"\0" * 4, length)
    tracemalloc.start()
    try:
        with pytest.raises(AdapterError):
            read_header(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "bomb.safetensors"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", b"\0" * 10_000_000)
    with pytest.raises(AdapterError, match="pickled"):
        load_adapter(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.safetensors"
    os.mkfifo(path)
    with pytest.raises(AdapterError, match="no ordinary file"):
        load_adapter(path)


@pytest.mark.parametrize(
    "key", ["../../../etc/cron.d/x.lora_down.weight", "/etc/passwd", "a\0b.alpha", "", ".", "lora_unet_"]
)
def test_keys_are_names_and_never_paths(key: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    written(path, {key: entry([3], 0, 12)}, b"\0" * 12)
    with pytest.raises(AdapterError):
        load_adapter(path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_layer_named_like_a_path_fits_nothing(tmp_path: Path) -> None:
    tensors = {"../../x.lora_down.weight": torch.ones(2, 4), "../../x.lora_up.weight": torch.ones(3, 2)}
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(AdapterError):
        AdapterBank(toy_base(), [load_adapter(path)])


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_factors_that_are_no_floats(dtype: torch.dtype, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    up = torch.ones(3, 2).to(dtype)
    safetensors.torch.save_file({f"{LAYER}.lora_down.weight": torch.ones(2, 4), f"{LAYER}.lora_up.weight": up}, path)
    with pytest.raises(AdapterError, match="floating-point"):
        load_adapter(path)


WRONG_FACTORS: dict[str, dict[str, tuple[int, ...]]] = {
    "lora of rank 0": {"lora_down.weight": (0, 16), "lora_up.weight": (16, 0)},
    "lora without up": {"lora_down.weight": (2, 16)},
    "tucker": {"lora_down.weight": (2, 16, 1, 1), "lora_mid.weight": (3, 3, 3, 3), "lora_up.weight": (16, 2, 1, 1)},
    "loha": {"hada_w1_a": (16, 2), "hada_w1_b": (2, 16), "hada_w2_a": (16, 3), "hada_w2_b": (2, 16)},
    "loha with one core": {
        "hada_w1_a": (2, 16), "hada_w1_b": (2, 16), "hada_w2_a": (2, 16), "hada_w2_b": (2, 16), "hada_t1": (2, 2, 3, 3),
    },
    "lokr of both kinds": {"lokr_w1": (4, 4), "lokr_w1_a": (4, 2), "lokr_w1_b": (2, 4), "lokr_w2": (4, 4)},
    "lokr of vectors": {"lokr_w1": (4,), "lokr_w2": (4, 4)},
    "lokr of nothing": {"lokr_w1": (0, 4), "lokr_w2": (4, 4)},
    "dora": {"lora_down.weight": (2, 16), "lora_up.weight": (16, 2), "dora_scale": (4, 4)},
    "dora of full": {"diff": (16, 16), "dora_scale": (16, 1)},
    "ia3": {"weight": (4, 4), "on_input": ()},
    "full": {"diff": (16,)},
    "bias": {"diff": (16, 16), "diff_b": (3,)},
    "norm": {"w_norm": (4, 4)},
    "oft": {"oft_blocks": (4, 4, 3)},
    "butterfly": {"oft_blocks": (9, 4, 4, 4)},
    "odd butterfly": {"oft_blocks": (2, 4, 3, 3)},
    "glora": {"a1.weight": (16, 2), "a2.weight": (2, 16), "b1.weight": (16, 3), "b2.weight": (2, 16)},
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_FACTORS)
def test_factors_that_contradict_each_other(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {f"{LAYER}.{suffix}": torch.ones(shape) for suffix, shape in WRONG_FACTORS[name].items()}
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(AdapterError, match=LAYER):
        load_adapter(path)


TOO_LARGE: dict[str, dict[str, tuple[int, ...]]] = {
    "lokr": {"lokr_w1": (3000, 3000), "lokr_w2": (3000, 3000)},
    "loha": {"hada_w1_a": (90000, 1), "hada_w1_b": (1, 90000), "hada_w2_a": (90000, 1), "hada_w2_b": (1, 90000)},
    "lora": {"lora_down.weight": (1, 90000), "lora_up.weight": (90000, 1)},
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_products_of_any_size_are_refused_before_they_are_made(name: str, tmp_path: Path) -> None:
    """Small factors whose product would take terabytes: the bank compares shapes first."""
    path = tmp_path / "a.safetensors"
    tensors = {f"{LAYER}.{suffix}": torch.ones(shape) for suffix, shape in TOO_LARGE[name].items()}
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(AdapterError, match="does not fit"):
        AdapterBank(toy_base(), [load_adapter(path)])
