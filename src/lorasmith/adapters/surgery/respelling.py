"""An adapter file under other names: as kohya's tools, ComfyUI, diffusers or PEFT spell its layers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.container import read_header, serialise
from lorasmith.adapters.files import SKIPPED, adapter_files, load_adapter, save_adapter
from lorasmith.adapters.header import build_header, network_module, payload_hashes
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
_TYPES = {"BF16": torch.bfloat16, "F32": torch.float32}
"""Numbers of a file that stay as they are; others become half precision."""
_PEFT_METADATA = "lora_adapter_metadata"
"""Where diffusers keeps PEFT's configuration in a file (`loaders/lora_base.py`, LORA_ADAPTER_METADATA_KEY)."""


def respell(
    file: Path, out: Path, to: Spelling, base: str | None = None, skip_unknown: bool = False
) -> tuple[list[Path], tuple[str, ...]]:
    """Write the adapter anew with other names, in the numbers of the file; gives the files written, and what was left
    out.

    "peft" makes a folder: one adapter for each part, since PEFT knows parts only. Without `base` the names are those
    of the family's public models. "kohya" and "comfyui" keep the factors to the bit; "diffusers" and "peft" multiply
    alpha / rank in. Raises AdapterError for what the other spelling cannot hold, StorageError where something of the
    name is there already.
    """
    refuse_existing(out)
    adapter, dtype = load_adapter(file, skip_unknown), _numbers_of(file)
    family, layers = _layers(adapter, base)
    fitted = fit_names(adapter, family, layers)
    adapter = replace(adapter, skipped=(*adapter.skipped, *(_left_out(adapter, fitted))))
    kept = {key: value for key, value in adapter.metadata.items() if not key.startswith((_PEFT_METADATA, "sshs_"))}
    if to == "kohya":
        named = replace(adapter, layers=fitted, metadata=_network_facts(adapter, family) | kept)
        return [save_adapter(out, named, dtype, as_kohya=True)], adapter.skipped
    if adapter.skipped:
        kept[SKIPPED] = json.dumps(sorted(adapter.skipped))
    if to == "comfyui":
        spelt = {**to_comfyui_keys(adapter, family, layers), **adapter.embeddings}
        tensors = {key: each.to(dtype).contiguous() for key, each in spelt.items()}
        return [_write(out, tensors, kept | payload_hashes(tensors, kept))], adapter.skipped
    tensors = {key: each.to(dtype).contiguous() for key, each in to_diffusers_keys(adapter, family, layers).items()}
    parts = split_for_peft(tensors)
    if to == "diffusers":
        embeddings = {key: each.to(dtype).contiguous() for key, each in adapter.embeddings.items()}
        told = _peft_facts(parts)
        return [_write(out, tensors | embeddings, kept | {"format": "pt"} | told)], adapter.skipped
    written = []
    metadata = {"format": "pt"} | {key: value for key, value in kept.items() if key == SKIPPED}
    for owner, (own, config) in parts.items():
        written.append(_write(out / owner / MODEL, own, metadata))
        written.append(write_file(out / owner / CONFIG, json.dumps(config, indent=2)))
    return written, adapter.skipped


def _numbers_of(file: Path) -> torch.dtype:
    """The numbers that most of a file's factors are in: bf16 and fp32 as they are, half precision for others."""
    entries = [entry.dtype for each in adapter_files(file) for entry in read_header(each).tensors.values()]
    return _TYPES.get(Counter(entries).most_common(1)[0][0], torch.float16) if entries else torch.float16


def _network_facts(adapter: Adapter, family: Family) -> dict[str, str]:
    """What kohya's tools read in every file's header, for one that has none of it."""
    module, arguments = network_module(adapter, family)
    facts = family.header_facts()
    return build_header(
        {
            "ss_v2": facts.v2,
            "ss_base_model_version": facts.version,
            "ss_network_module": module,
            "ss_network_dim": adapter.rank,
            "ss_network_alpha": adapter.alpha,
            "ss_network_args": arguments,
        }
    )


def _peft_facts(parts: Mapping[str, tuple[dict[str, Tensor], dict[str, Any]]]) -> dict[str, str]:
    """PEFT's configuration as diffusers writes it with a file, of all parts or of none: a part that is not told there
    is refused. Of text encoders, whose paths change with transformers' releases, nothing can be told."""
    if any(owner.startswith("text_encoder") for owner in parts):
        return {}
    facts = {
        f"{owner}.{key}": value
        for owner, (_, config) in parts.items()
        for key, value in config.items()
        if key not in ("peft_type", "inference_mode")
    }
    return {_PEFT_METADATA: json.dumps(facts)}


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
