"""Adapter files: kohya's keys in safetensors. Reading trusts nothing; writing fills in the hashes readers want."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.container import header_bytes, payload_bytes, read_header
from lorasmith.adapters.header import addnet_hash, check_finite, payload_hashes
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.adapters.spellings import to_kohya_keys, unknown_keys
from lorasmith.errors import AdapterError
from lorasmith.storage.files import write_file

__all__ = ["addnet_hash", "load_adapter", "read_header", "read_tensors", "save_adapter"]


def save_adapter(path: Path | str, adapter: Adapter, dtype: torch.dtype = torch.float16) -> Path:
    """Write the adapter with `sshs_*` hashes added to its metadata; the same adapter gives the same bytes.

    Raises AdapterError when the factors are not finite in `dtype`, StorageError when the disk is full.
    """
    tensors = {
        f"{name}.{suffix}": tensor.to(dtype)
        for name, factors in adapter.layers.items()
        for suffix, tensor in factors.to_tensors().items()
    }
    check_finite(tensors, path)
    metadata = {key: value for key, value in adapter.metadata.items() if not key.startswith("sshs_")}
    metadata |= payload_hashes(tensors, metadata)
    return write_file(Path(path), header_bytes(tensors, metadata) + payload_bytes(tensors))


def load_adapter(path: Path | str) -> Adapter:
    """Read an adapter file in kohya's, diffusers' or PEFT's spelling; factors in fp32.

    Its layers keep the names of the file; the bank fits them to a base. Raises AdapterError for a pickle, a file
    cut short, a key that no algorithm takes, contradicting shapes, NaN.
    """
    file = Path(path)
    metadata = read_header(file).metadata
    tensors = read_tensors(file)
    check_finite(tensors, file)
    layers: dict[str, dict[str, Tensor]] = {}
    for key, tensor in to_kohya_keys(tensors, metadata, file).items():
        name, _, suffix = key.partition(".")
        layers.setdefault(name, {})[suffix] = tensor
    if not layers:
        raise AdapterError("holds no tensors.", where=file)
    return Adapter(file.stem, _read_layers(layers, file), dict(metadata))


def read_tensors(path: Path | str) -> dict[str, Tensor]:
    """The tensors as they lie in the file. Raises AdapterError."""
    read_header(path)
    try:
        loaded: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as fault:
        raise AdapterError(f"cannot be read: {fault}.", where=path) from None
    return loaded


def _may_be(suffix: str, tensor: Tensor) -> bool:
    """Factors float; single numbers beside them may be whole ones."""
    return tensor.is_floating_point() or (suffix in ("alpha", "on_input") and tensor.numel() == 1)


def _read_layers(layers: Mapping[str, Mapping[str, Tensor]], file: Path) -> dict[str, LayerFactors]:
    read: dict[str, LayerFactors] = {}
    unknown: list[str] = []
    for name, tensors in layers.items():
        kind = next((each.kind for each in ALGORITHMS.values() if each.kind.claims(tensors)), None)
        if kind is None:
            unknown += [f"{name}.{suffix}" for suffix in tensors]
            continue
        wrong = [suffix for suffix, tensor in tensors.items() if not _may_be(suffix, tensor)]
        if wrong:
            raise AdapterError(
                f"{name}.{wrong[0]} is of type {str(tensors[wrong[0]].dtype).removeprefix('torch.')}: "
                "factors are floating-point numbers.",
                where=file,
            )
        try:
            read[name] = kind.from_tensors(tensors)
        except ValueError as fault:
            raise AdapterError(f"{name}: {fault}.", where=file) from None
    if unknown:
        raise unknown_keys(unknown, file)
    return read
