"""An adapter file under other names: as kohya's tools, ComfyUI, diffusers or PEFT spell its layers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.container import serialise
from lorasmith.adapters.files import SKIPPED, load_adapter, save_adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.adapters.spelling.names import origin_of
from lorasmith.adapters.spelling.origin import public_layers
from lorasmith.adapters.spelling.peft import CONFIG, MODEL
from lorasmith.adapters.spelling.writing import fit_names, split_for_peft, to_comfyui_keys, to_diffusers_keys
from lorasmith.bases.families.family import Family
from lorasmith.bases.stored import open_stored
from lorasmith.bases.targets import TargetLayer
from lorasmith.errors import AdapterError
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.files import refuse_existing, write_file

Spelling = Literal["kohya", "comfyui", "diffusers", "peft"]


def respell(
    file: Path, out: Path, to: Spelling, base: str | None = None, skip_unknown: bool = False
) -> tuple[list[Path], tuple[str, ...]]:
    """Write the adapter anew with other names, in half precision; gives the files written, and what was left out.

    "peft" makes a folder: one adapter for each part, since PEFT knows parts only. Without `base` the names are those
    of the family's public models. Raises AdapterError for what the other spelling cannot hold, StorageError where
    something of the name is there already.
    """
    refuse_existing(out)
    adapter = load_adapter(file, skip_unknown)
    family, layers = _layers(adapter, base)
    fitted = fit_names(adapter, family, layers)
    adapter = replace(adapter, skipped=(*adapter.skipped, *(_left_out(adapter, fitted))))
    if to == "kohya":
        return [save_adapter(out, replace(adapter, layers=fitted), as_kohya=True)], adapter.skipped
    keys = to_comfyui_keys if to == "comfyui" else to_diffusers_keys
    tensors = {key: each.half().contiguous() for key, each in keys(adapter, family, layers).items()}
    metadata = {"format": "pt"} | ({SKIPPED: json.dumps(sorted(adapter.skipped))} if adapter.skipped else {})
    if to in ("comfyui", "diffusers"):
        embeddings = {key: each.half().contiguous() for key, each in adapter.embeddings.items()}
        return [_write(out, tensors | embeddings, metadata)], adapter.skipped
    written = []
    for owner, (own, config) in split_for_peft(tensors).items():
        written.append(_write(out / owner / MODEL, own, metadata))
        written.append(write_file(out / owner / CONFIG, json.dumps(config, indent=2)))
    return written, adapter.skipped


def _left_out(adapter: Adapter, fitted: Mapping[str, LayerFactors]) -> list[str]:
    kept = {id(factors) for factors in fitted.values()}
    return [name for name, factors in adapter.layers.items() if id(factors) not in kept]


def _layers(adapter: Adapter, base: str | None) -> tuple[Family, Mapping[str, TargetLayer]]:
    if base is not None:
        stored = open_stored(base)
        return stored.family, stored.layers
    origin = origin_of(adapter)
    if origin.family is None:
        what = f"it is for {origin.word}, which is no known family." if origin.word else ""
        raise AdapterError(
            what or "its family cannot be told from its names, shapes or metadata.",
            where=adapter.name,
            remedy=Sentence("Name its ", Give("base"), "."),
        )
    return origin.family, public_layers(origin.family)


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    if not all(bool(torch.isfinite(each).all()) for each in tensors.values()):
        raise AdapterError("a factor goes beyond what half precision can hold.", where=path)
    return write_file(path, serialise(tensors, metadata))
