"""Adapter files: safetensors in the spelling of any tool; written with kohya's keys. Reading trusts nothing; writing
fills in the hashes readers want."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.catalogue import IS_EMBEDDING
from lorasmith.adapters.container import header_bytes, payload_bytes, read_header
from lorasmith.adapters.embeddings.layouts import find_parts
from lorasmith.adapters.header import addnet_hash, check_finite, payload_hashes
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.adapters.spelling.names import origin_of, with_own_names
from lorasmith.adapters.spelling.origin import public_layers
from lorasmith.adapters.spelling.peft import MODEL
from lorasmith.adapters.spelling.reading import SpeltLayer, read_spelling, unknown_keys
from lorasmith.errors import AdapterError
from lorasmith.storage.files import write_file

__all__ = ["addnet_hash", "load_adapter", "read_header", "read_tensors", "save_adapter"]

SKIPPED = "lorasmith.skipped"
"""The metadata field that lists what of an adapter could not be used when this file was made of it (JSON)."""
_SINGLE = ("alpha", "on_input", "oft_R.terms")
_BYTE_WIDE = (torch.float8_e4m3fn, torch.float8_e5m2)


def save_adapter(
    path: Path | str, adapter: Adapter, dtype: torch.dtype = torch.float16, *, as_kohya: bool = False
) -> Path:
    """Write the adapter with `sshs_*` hashes added to its metadata; the same adapter gives the same bytes.

    Layers have kohya's names; of a family of which ComfyUI does not read those, its own, unless it is `as_kohya`.

    Raises AdapterError when the factors are not finite in `dtype`, StorageError when the disk is full.
    """
    names = {} if as_kohya else _comfyui_names(adapter)
    tensors = {
        f"{names.get(name, name)}.{suffix}": tensor.to(dtype)
        for name, factors in adapter.layers.items()
        for suffix, tensor in factors.to_tensors().items()
    }
    tensors |= {key: tensor.to(dtype) for key, tensor in adapter.embeddings.items()}
    check_finite(tensors, path)
    metadata = {key: value for key, value in adapter.metadata.items() if not key.startswith("sshs_")}
    if adapter.skipped:
        metadata[SKIPPED] = json.dumps(sorted(adapter.skipped))
    metadata |= payload_hashes(tensors, metadata)
    return write_file(Path(path), header_bytes(tensors, metadata) + payload_bytes(tensors))


def _comfyui_names(adapter: Adapter) -> dict[str, str]:
    """ComfyUI's names of the layers, where their family's files have them (`Family.comfyui_names`)."""
    family = origin_of(adapter).family
    if family is None or not family.comfyui_names:
        return {}
    layers = public_layers(family)
    # NOTE: (IA)^3's key is told from a model's own weight by kohya's name alone; ComfyUI reads none.
    named = [name for name, each in adapter.layers.items() if name in layers and "weight" not in each.to_tensors()]
    return {name: family.in_comfyui(layers[name]) for name in named}


def load_adapter(path: Path | str, skip_unknown: bool = False) -> Adapter:
    """Read an adapter in any tool's spelling: a file, or a folder that PEFT wrote (with one adapter, or with one for
    each part of the model); factors in fp32.

    Layers have their family's own names where the file tells its family, else the file's, which the bank fits to a
    base. With `skip_unknown` what cannot be used is left out and named in `skipped`. Raises AdapterError for a pickle,
    a file cut short, a key that no algorithm takes, contradicting shapes, NaN.
    """
    whole = Path(path)
    parts = [_load_one(file, skip_unknown) for file in adapter_files(whole)]
    adapter = parts[0]
    for more in parts[1:]:
        both = adapter.layers.keys() & more.layers.keys()
        if both:
            raise AdapterError(f"names the layer {min(both)} twice, in two files.", where=whole)
        adapter = replace(adapter, layers={**adapter.layers, **more.layers}, skipped=(*adapter.skipped, *more.skipped))
    return with_own_names(replace(adapter, name=whole.name if whole.is_dir() else whole.stem))


def _load_one(file: Path, skip_unknown: bool = False) -> Adapter:
    """One file's adapter, its layers under the names of the file."""
    metadata = read_header(file).metadata
    tensors = {key: each.float() if each.dtype in _BYTE_WIDE else each for key, each in _read_payload(file).items()}
    check_finite(tensors, file)
    spelt = read_spelling(tensors, metadata, file)
    if not tensors:
        raise AdapterError("holds no tensors.", where=file)
    layers, unknown = _read_layers(spelt.layers, file)
    unknown += spelt.unknown
    if not layers and not unknown:
        raise AdapterError("holds embeddings alone, no layer of an adapter.", where=file)
    if not layers and find_parts(tensors):
        raise AdapterError(IS_EMBEDDING, where=file)
    if unknown and not (skip_unknown and layers):
        raise unknown_keys(unknown, file, some=bool(layers))
    return Adapter(file.stem, layers, dict(metadata), spelt.embeddings, tuple(unknown), skip_unknown)


def read_tensors(path: Path | str) -> dict[str, Tensor]:
    """The tensors as they lie in the file. Raises AdapterError."""
    read_header(path)
    return _read_payload(path)


def _read_payload(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a file whose header was looked at."""
    try:
        loaded: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as fault:
        raise AdapterError(f"cannot be read: {fault}.", where=path) from None
    return loaded


def adapter_files(path: Path) -> list[Path]:
    """The file itself; of a folder PEFT's own, else that of each part."""
    if not path.is_dir():
        return [path]
    own = path / MODEL
    return [own] if own.is_file() else sorted(path.glob(f"*/{MODEL}")) or [path]


def _may_be(suffix: str, tensor: Tensor) -> bool:
    """Factors float; single numbers beside them may be whole ones."""
    return tensor.is_floating_point() or (suffix in _SINGLE and tensor.numel() == 1)


def _read_layers(layers: Mapping[str, SpeltLayer], file: Path) -> tuple[dict[str, LayerFactors], list[str]]:
    """The layers' factors, and the file's keys of those that no algorithm takes."""
    read: dict[str, LayerFactors] = {}
    unknown: list[str] = []
    kinds = [each.kind for each in ALGORITHMS.values()]
    for name, layer in layers.items():
        tensors = layer.tensors
        kind = next((each for each in kinds if each.claims(tensors)), None)
        if kind is None:
            unknown += layer.keys
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
    return read, unknown
