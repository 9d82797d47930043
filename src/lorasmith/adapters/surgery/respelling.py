"""An adapter file under other names: as kohya's tools, diffusers or PEFT spell its layers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.container import serialise
from lorasmith.adapters.description import describe
from lorasmith.adapters.files import save_adapter
from lorasmith.adapters.spellings import fit_names, split_for_peft, to_diffusers_keys
from lorasmith.bases.families import FAMILIES
from lorasmith.bases.stored import open_stored
from lorasmith.bases.targets import TargetLayer
from lorasmith.errors import AdapterError
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.files import write_file

CONFIG = "adapter_config.json"
MODEL = "adapter_model.safetensors"


def respell(file: Path, out: Path, to: Literal["kohya", "diffusers", "peft"], base: str | None = None) -> list[Path]:
    """Write the adapter anew with other names, in half precision; gives the files written.

    "peft" makes a folder: one adapter for each part, since PEFT knows parts only. Without `base` the names are those
    of the family's public models. Raises AdapterError for what the other spelling cannot hold.
    """
    description = describe(file)
    layers = _layers(description.adapter, description.family, base)
    if to == "kohya":
        return [save_adapter(out, replace(description.adapter, layers=fit_names(description.adapter, layers)))]
    tensors = {key: each.half().contiguous() for key, each in to_diffusers_keys(description.adapter, layers).items()}
    if to == "diffusers":
        return [_write(out, tensors)]
    written = []
    for owner, (own, config) in split_for_peft(tensors).items():
        written.append(_write(out / owner / MODEL, own))
        written.append(write_file(out / owner / CONFIG, json.dumps(config, indent=2)))
    return written


def _layers(adapter: Adapter, family: str | None, base: str | None) -> dict[str, TargetLayer]:
    if base is not None:
        return dict(open_stored(base).layers)
    known = None if family is None else FAMILIES.get(family)
    if known is None:
        raise AdapterError(
            "its family cannot be told from its shapes or metadata.",
            where=adapter.name,
            remedy=Sentence("Name its ", Give("base"), "."),
        )
    return known.public_layers()


def _write(path: Path, tensors: dict[str, Tensor]) -> Path:
    if not all(bool(torch.isfinite(each).all()) for each in tensors.values()):
        raise AdapterError("a factor goes beyond what half precision can hold.", where=path)
    return write_file(path, serialise(tensors, {"format": "pt"}))
