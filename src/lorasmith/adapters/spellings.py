"""How other tools spell an adapter file's keys, turned into kohya's and back: diffusers old and new, PEFT.

From a dotted path to kohya's name is a fixed rewriting; the way back needs the family's name tables
(`TargetLayer.path`), because an underscore may have been a dot.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.bases.families import FAMILIES
from lorasmith.bases.targets import TargetLayer
from lorasmith.errors import AdapterError
from lorasmith.remedies import Action, Do

PEFT_ROOT = "base_model.model."
MAX_CONFIG = 10_000_000
_ENDINGS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\.processor\.(to_[qkv])_lora\.(down|up)\.weight$"), r".\1|lora_\2.weight"),
    (re.compile(r"\.processor\.to_out_lora\.(down|up)\.weight$"), r".to_out.0|lora_\1.weight"),
    (re.compile(r"\.(to_[qkv])_lora\.(down|up)\.weight$"), r".\1|lora_\2.weight"),
    (re.compile(r"\.to_out_lora\.(down|up)\.weight$"), r".to_out.0|lora_\1.weight"),
    (re.compile(r"\.lora(?:_linear_layer)?\.(down|up)\.weight$"), r"|lora_\1.weight"),
    (re.compile(r"\.lora_A(?:\.[^.]+)?\.weight$"), r"|lora_down.weight"),
    (re.compile(r"\.lora_B(?:\.[^.]+)?\.weight$"), r"|lora_up.weight"),
    (re.compile(r"\.lora_magnitude_vector(?:\.[^.]+)?(?:\.weight)?$"), r"|dora_scale"),
    (re.compile(r"\.(hada_w[12]_[ab]|hada_t[12]|lokr_w[12](?:_[ab])?|lokr_t2)(?:\.[^.]+)?$"), r"|\1"),
    (re.compile(r"\.ia3_l(?:\.[^.]+)?$"), r"|weight"),
    (re.compile(r"\.dora_scale$"), r"|dora_scale"),
    (re.compile(r"\.alpha$"), r"|alpha"),
)
# Of CLIP, in old files of diffusers.
_TEXT_ATTENTION = re.compile(r"(encoder\.layers\.\d+\.self_attn)\.to_([qkv]|out\.0)$")


def known_owners() -> dict[str, str]:
    """How the keys of diffusers and PEFT begin, and how names that are made of them do, over all families; a base knows
    its layers by these names, too."""
    return {dotted: prefix for family in FAMILIES.values() for dotted, prefix in family.dotted_names.items()}


def to_kohya_keys(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], where: object) -> dict[str, Tensor]:
    """The tensors under kohya's keys; files that have them already pass through. Raises AdapterError.

    PEFT keeps alpha in a configuration, which diffusers writes into the metadata; it becomes one alpha a layer.
    """
    owners = known_owners()
    # A part's own file, as PEFT writes it, does not say whose it is; its folder's name may.
    alone = f"{where.parent.name}." if isinstance(where, Path) else ""
    alone = alone if alone in owners else "unet."
    if not any(key.startswith((*owners, PEFT_ROOT)) for key in tensors):
        return dict(tensors)
    known: dict[str, Tensor] = {}
    unknown: list[str] = []
    config = _peft_config(metadata, where)
    paths: dict[str, tuple[str, str]] = {}
    for key, tensor in tensors.items():
        split = _split(key, owners, alone)
        if split is None:
            unknown.append(key)
            continue
        owner, path, suffix = split
        name = owners[owner] + path.replace(".", "_")
        known |= _as_kohya(name, suffix, tensor)
        paths[name] = (owner.removesuffix("."), path)
    if unknown:
        raise unknown_keys(unknown, where)
    for name, (owner, path) in paths.items():
        alpha = _configured_alpha(config, owner, path)
        if alpha is not None and f"{name}.weight" not in known:
            known.setdefault(f"{name}.alpha", torch.tensor(alpha))
        if alpha is not None and {f"{name}.lokr_w1", f"{name}.lokr_w2"} <= known.keys():
            # NOTE: PEFT alone scales two whole factors.
            known[f"{name}.lokr_w1"] = known[f"{name}.lokr_w1"] * (alpha / float(config.get("r") or alpha))
    return known


def to_diffusers_keys(adapter: Adapter, layers: Mapping[str, TargetLayer]) -> dict[str, Tensor]:
    """A LoRA's tensors as diffusers and PEFT spell them: ``unet.<path>.lora_A.weight``, fp32.

    alpha / rank is multiplied into lora_B, so that every reader's default, alpha = rank, is right. `layers` are those
    of the base, or of the family's public models. Raises AdapterError for a layer that is not among them, and for what
    diffusers cannot read.
    """
    tensors: dict[str, Tensor] = {}
    for name, factors in fit_names(adapter, layers).items():
        target = layers[name]
        spelt = factors.as_peft()
        if spelt is None:
            raise AdapterError(
                f"{name} is a {' over '.join(factors.parts)}, which has no spelling in diffusers.",
                where=adapter.name,
                hint="Make a plain LoRA of it first:",
                remedy=Do(Action.CONVERT, adapter="FILE", out="NEW"),
            )
        tensors |= {f"{target.owner}.{target.path}.{suffix}": tensor for suffix, tensor in spelt.items()}
    return tensors


def fit_names(adapter: Adapter, layers: Mapping[str, TargetLayer]) -> dict[str, LayerFactors]:
    """The adapter's layers by the names in `layers`. Raises AdapterError listing those that are not there."""
    by_path = {target.diffusers_name: name for name, target in layers.items()}
    names = {name: name if name in layers else by_path.get(name) for name in adapter.layers}
    unknown = [name for name, found in names.items() if found is None]
    if unknown:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise AdapterError(
            f"{', '.join(unknown[:3])}{more}: no such layer in the public models of its family.",
            where=adapter.name,
            hint="Name the base that it was made for.",
        )
    return {found: adapter.layers[name] for name, found in names.items() if found is not None}


def split_for_peft(tensors: Mapping[str, Tensor]) -> dict[str, tuple[dict[str, Tensor], dict[str, Any]]]:
    """diffusers' keys as PEFT's folders: by part the tensors of its `adapter_model.safetensors`, and the table of its
    `adapter_config.json`.

    transformers 5 leaves ``text_model.`` out of the first text encoder's paths, and so do these.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        owner, _, rest = key.partition(".")
        rest = rest.removeprefix("text_model.") if owner == "text_encoder" else rest
        parts.setdefault(owner, {})[f"{PEFT_ROOT}{rest}"] = tensor
    return {owner: (own, _lora_config(own)) for owner, own in parts.items()}


def _lora_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    ranks = {
        key.removeprefix(PEFT_ROOT).removesuffix(".lora_A.weight"): tensor.shape[0]
        for key, tensor in tensors.items()
        if key.endswith(".lora_A.weight")
    }
    rank = Counter(ranks.values()).most_common(1)[0][0]
    others = {path: own for path, own in ranks.items() if own != rank}
    return {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": others,
        "alpha_pattern": others,
        "target_modules": sorted(ranks),
        "use_dora": any(key.endswith(".lora_magnitude_vector") for key in tensors),
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }


def unknown_keys(keys: list[str], where: object) -> AdapterError:
    """The error for keys that no algorithm takes."""
    shown = ", ".join(sorted(keys)[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
    return AdapterError(
        f"{len(keys)} of its keys belong to no known adapter algorithm: {shown}.",
        where=where,
        hint="It is no adapter, or one of a kind that is not read yet.",
    )


def _split(key: str, owners: Collection[str], alone: str) -> tuple[str, str, str] | None:
    """(owner with its dot, dotted path, kohya suffix) of a diffusers or PEFT key; `alone` owns what names no part."""
    key = key.removeprefix(PEFT_ROOT) if key.startswith(tuple(PEFT_ROOT + owner for owner in owners)) else key
    if key.startswith(PEFT_ROOT):
        key = alone + key.removeprefix(PEFT_ROOT)
    owner = next((each for each in owners if key.startswith(each)), None)
    if owner is None:
        return None
    for ending, replacement in _ENDINGS:
        rewritten, found = ending.subn(replacement, key.removeprefix(owner))
        if found:
            path, suffix = rewritten.split("|")
            if owner.startswith("text_"):
                path = _TEXT_ATTENTION.sub(lambda match: f"{match[1]}.{match[2].removesuffix('.0')}_proj", path)
            return owner, path, suffix
    return None


def _as_kohya(name: str, suffix: str, tensor: Tensor) -> dict[str, Tensor]:
    """The tensor under kohya's key, in kohya's form: PEFT's (IA)^3 holds the multiplier, its magnitudes lie flat."""
    if suffix == "weight":
        on_input = tensor.ndim == 2 and tensor.shape[0] == 1  # NOTE: of a convolution it cannot be told; rare
        return {f"{name}.weight": tensor.flatten() - 1, f"{name}.on_input": torch.tensor(float(on_input))}
    if suffix == "dora_scale" and tensor.ndim == 4 and tensor.shape[0] == 1:
        tensor = tensor.reshape(-1, 1, 1, 1)
    return {f"{name}.{suffix}": tensor}


def _peft_config(metadata: Mapping[str, str], where: object) -> dict[str, Any]:
    """What says alpha: the metadata that diffusers writes, else PEFT's `adapter_config.json` beside the file."""
    text = metadata.get("lora_adapter_metadata", "")
    beside = where.with_name("adapter_config.json") if isinstance(where, Path) else None
    try:
        if not text and beside is not None and beside.stat().st_size < MAX_CONFIG:
            text = beside.read_text("utf-8")
        config = json.loads(text or "{}")
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _configured_alpha(config: Mapping[str, Any], owner: str, path: str) -> float | None:
    """alpha of a layer by a configuration: its pattern for the path, else the one of the part or of the file."""
    try:
        patterns = config.get(f"{owner}.alpha_pattern") or config.get("alpha_pattern") or {}
        for pattern, alpha in patterns.items():
            if path == pattern or path.endswith(f".{pattern}"):
                return float(alpha)
        alpha = config.get(f"{owner}.lora_alpha", config.get("lora_alpha", config.get("alpha")))
        return None if alpha is None else float(alpha)
    except (ValueError, TypeError, AttributeError):
        return None
