"""Adapters merged into a checkpoint: a new file or folder, written tensor by tensor; what is not touched is copied.

Only one tensor is in memory at a time. Every algorithm goes in exactly, norms and biases too; the sum is rounded once,
to the dtype that the checkpoint has.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.container import pack_header
from lorasmith.adapters.files import SKIPPED
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.surgery.blocks import block_strength
from lorasmith.bases.families.original import Source
from lorasmith.bases.stored import StoredBase
from lorasmith.errors import AdapterError
from lorasmith.events import Progress, Work, eta
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.files import refuse_existing, replacing

Strength = float | Mapping[str, float]
# Recorded hashes are those of the weights before.
STALE = ("sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256")
CHUNK = 1 << 24


def insert(
    base: StoredBase, adapters: Sequence[Adapter], strengths: Sequence[Strength], out: Path
) -> Work[tuple[Path, list[str]]]:
    """Write `base` with the adapters merged in to `out`: a file for a file, a folder for a folder; gives it,
    and what was left out of them.

    A strength may be a table of blocks, see `block_strength`. Raises AdapterError where an adapter does not fit or a
    result is not finite, StorageError when it cannot be written; an existing `out` is refused, the base never changed.
    """
    refuse_existing(out)
    fitted = [_with_places(fit_adapter(adapter, base), base) for adapter in adapters]
    touched = _touched(base, fitted)
    elsewhere = sorted(file.name for file in touched if file != base.path) if base.path.is_file() else []
    if elsewhere:
        raise AdapterError(
            f"{', '.join(adapter.name for adapter in fitted)}: changes a part that lies in a file of its own, "
            f"{elsewhere[0]}, and only {base.path.name} would be written.",
            hint="Merge into the model's diffusers folder.",
        )
    pairs = list(zip(fitted, strengths, strict=True))
    total = sum(len(base.headers[file].tensors) for file in touched)
    done, begun = 0, time.monotonic()
    with replacing(out, "Free some space.") as partial, base.reading():
        for file, target in _targets(base.path, partial, set(touched)).items():
            for _ in _rewrite(base, file, target, touched[file], pairs):
                done += 1
                if done % 50 == 0 or done == total:
                    yield Progress("merging", done, total, eta(begun, done, total))
    return out, sorted({name for adapter in fitted for name in adapter.skipped})


def _with_places(adapter: Adapter, base: StoredBase) -> Adapter:
    """The adapter without layers whose change the checkpoint has no place for, where it `skips`; else raises
    AdapterError for them."""
    placeless = [
        name
        for name, factors in adapter.layers.items()
        if factors.delta_bias() is not None and (name, "bias") not in base.places
    ]
    if placeless and not adapter.skips:
        raise AdapterError(
            f"{placeless[0]} gets a bias, which that layer of a checkpoint has no place for.",
            where=adapter.name,
            remedy=Sentence("The rest can be used: ", Give("skip_unknown"), "."),
        )
    layers = {name: factors for name, factors in adapter.layers.items() if name not in placeless}
    return replace(adapter, layers=layers, skipped=(*adapter.skipped, *placeless))


Part = tuple[str, str, Source]
"""(layer, "weight" or "bias", where in the tensor it lies)."""


def _touched(base: StoredBase, adapters: Sequence[Adapter]) -> dict[Path, dict[str, list[Part]]]:
    """By file and key, the layers whose weights or biases change."""
    names = {name for adapter in adapters for name in adapter.layers}
    found: dict[Path, dict[str, list[Part]]] = {}
    for (name, kind), place in base.places.items():
        if name in names:
            found.setdefault(place.file, {}).setdefault(place.source.key, []).append((name, kind, place.source))
    return found


def _targets(path: Path, partial: Path, files: set[Path]) -> dict[Path, Path]:
    """Where to write each changed file. Of a folder all others are copied."""
    if not path.is_dir():
        return {path: partial}
    skipped = {file.relative_to(path).as_posix() for file in files}

    def skip(folder: str, names: list[str]) -> list[str]:
        inside = Path(folder).relative_to(path)
        return [name for name in names if (inside / name).as_posix() in skipped]

    shutil.copytree(path, partial, ignore=skip)
    return {file: partial / file.relative_to(path) for file in files}


def _rewrite(
    base: StoredBase,
    file: Path,
    target: Path,
    touched: Mapping[str, list[Part]],
    adapters: Sequence[tuple[Adapter, Strength]],
) -> Iterator[None]:
    """Write the file anew, with the same layout, a step a tensor."""
    header = base.headers[file]
    metadata = {key: value for key, value in header.metadata.items() if key not in STALE}
    merged = ", ".join(adapter.name for adapter, _ in adapters)
    skipped = sorted({name for adapter, _ in adapters for name in adapter.skipped})
    if skipped:
        metadata[SKIPPED] = json.dumps(skipped)
    metadata["modelspec.merged_from"] = ", ".join(filter(None, (metadata.get("modelspec.merged_from"), merged)))
    table: dict[str, object] = {"__metadata__": metadata}
    entries = sorted(header.tensors.items(), key=lambda item: (item[1].begin, item[1].end))
    for key, entry in entries:
        table[key] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [entry.begin, entry.end]}
    with target.open("wb") as out, file.open("rb") as old:
        out.write(pack_header(table))
        for key, entry in entries:
            if key in touched:
                new = _changed(base, base.tensor(file, key).clone(), touched[key], adapters)
                out.write(new.contiguous().reshape(-1).view(torch.uint8).numpy().data)
            else:
                old.seek(header.start + entry.begin)
                _copy(old, out, entry.end - entry.begin)
            yield
        out.flush()
        os.fsync(out.fileno())


def _changed(
    base: StoredBase, tensor: Tensor, parts: Sequence[Part], adapters: Sequence[tuple[Adapter, Strength]]
) -> Tensor:
    """The tensor, changed in place: each layer's part of it is a view."""
    for name, kind, source in parts:
        view = source.take(tensor)
        frozen = total = view.float()
        for adapter, strength in adapters:
            factors, amount = adapter.layers.get(name), block_strength(name, strength, base.layers)
            if factors is None or not amount:
                continue
            delta = factors.delta_weight(frozen) if kind == "weight" else factors.delta_bias()
            if delta is not None:
                total = total + amount * delta.reshape(total.shape)
        view.copy_(total)
        if not bool(torch.isfinite(view.float().sum())):
            raise AdapterError(f"merged into {name}, a value goes beyond what {tensor.dtype} can hold.")
    return tensor


def _copy(old: BinaryIO, new: BinaryIO, size: int) -> None:
    while size:
        chunk = old.read(min(size, CHUNK))
        if not chunk:
            raise OSError(0, "the file became shorter while it was read")
        new.write(chunk)
        size -= len(chunk)
