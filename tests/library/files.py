"""Small files of a library, written without torch."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

SDXL_LAYER = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"


def container(tensors: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str], seed: int = 0) -> bytes:
    """A safetensors file of half-precision tensors of these shapes, filled with `seed`."""
    table: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for key, shape in tensors.items():
        size = 2
        for extent in shape:
            size *= extent
        table[key] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + (struct.pack("<H", seed % 30000) * (at // 2))


def write_adapter(path: Path, seed: int = 0, rank: int = 4, layer: str = SDXL_LAYER, **metadata: str) -> Path:
    """A LoRA of one layer; `seed` makes its bytes its own. ``__`` in a keyword stands for a dot."""
    tensors = {f"{layer}.lora_down.weight": (rank, 2048), f"{layer}.lora_up.weight": (640, rank)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(container(tensors, {key.replace("__", "."): text for key, text in metadata.items()}, seed))
    return path
