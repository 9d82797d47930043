"""The safetensors container: reading its header without trust, and writing it so that equal content is equal bytes.

The library's writer orders the metadata by a random hash; ours sorts it, and lays the tensors out as the library
does (by dtype, then name), so that payload hashes agree with every other tool's.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lorasmith.container import Header, read_container
from lorasmith.errors import AdapterError

DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
# The library's order: widest alignment first.
_ORDER = ("I64", "F64", "F32", "I32", "BF16", "F16", "I16", "F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL")


def read_header(path: Path | str) -> Header:
    """Read and check the header only. Raises AdapterError for anything that is no whole safetensors file."""
    file = Path(path)
    header = read_container(file, AdapterError, "an adapter")
    for key, entry in header.tensors.items():
        if entry.dtype not in DTYPES:
            raise AdapterError(f"{key} is of type {entry.dtype}, which adapters do not use.", where=file)
    return header


def serialise(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file: the same bytes for the same content."""
    return header_bytes(tensors, metadata) + payload_bytes(tensors)


def header_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Length and JSON header, padded with spaces to a multiple of 8."""
    table: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    at = 0
    for key, tensor in _laid_out(tensors):
        table[key] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    return pack_header(table)


def pack_header(table: Mapping[str, Any]) -> bytes:
    """The bytes of a header with this table, in its order."""
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def payload_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """All tensors' bytes, little-endian, in the library's order."""
    return b"".join(
        tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        for _, tensor in _laid_out(tensors)
    )


def _laid_out(tensors: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    return sorted(tensors.items(), key=lambda item: (_ORDER.index(_NAMES[item[1].dtype]), item[0]))
