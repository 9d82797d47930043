"""How other tools spell an adapter file's keys, turned into kohya's: diffusers old and new, PEFT.

From a dotted path to kohya's name is a fixed rewriting; the way back needs the family's name tables
(`TargetLayer.path`), because an underscore may have been a dot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lorasmith.errors import AdapterError

OWNERS = {"unet.": "lora_unet_", "text_encoder.": "lora_te_", "text_encoder_2.": "lora_te2_"}
PEFT_ROOT = "base_model.model."
_ENDINGS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\.processor\.(to_[qkv])_lora\.(down|up)\.weight$"), r".\1|lora_\2.weight"),
    (re.compile(r"\.processor\.to_out_lora\.(down|up)\.weight$"), r".to_out.0|lora_\1.weight"),
    (re.compile(r"\.(to_[qkv])_lora\.(down|up)\.weight$"), r".\1|lora_\2.weight"),
    (re.compile(r"\.to_out_lora\.(down|up)\.weight$"), r".to_out.0|lora_\1.weight"),
    (re.compile(r"\.lora(?:_linear_layer)?\.(down|up)\.weight$"), r"|lora_\1.weight"),
    (re.compile(r"\.lora_A(?:\.[^.]+)?\.weight$"), r"|lora_down.weight"),
    (re.compile(r"\.lora_B(?:\.[^.]+)?\.weight$"), r"|lora_up.weight"),
    (re.compile(r"\.alpha$"), r"|alpha"),
)
_TEXT_ATTENTION = re.compile(r"\.self_attn\.to_([qkv]|out\.0)$")


def to_kohya_keys(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], where: object) -> dict[str, Tensor]:
    """The tensors under kohya's keys; files that have them already pass through. Raises AdapterError.

    PEFT keeps alpha in a configuration, which diffusers writes into the metadata; it becomes one alpha a layer.
    """
    if not any(key.startswith((*OWNERS, PEFT_ROOT)) for key in tensors):
        return dict(tensors)
    known: dict[str, Tensor] = {}
    unknown: list[str] = []
    paths: dict[str, tuple[str, str]] = {}
    for key, tensor in tensors.items():
        split = _split(key)
        if split is None:
            unknown.append(key)
            continue
        owner, path, suffix = split
        name = OWNERS[owner] + path.replace(".", "_")
        known[f"{name}.{suffix}"] = tensor
        paths[name] = (owner.removesuffix("."), path)
    if unknown:
        raise unknown_keys(unknown, where)
    for name, (owner, path) in paths.items():
        alpha = _configured_alpha(metadata, owner, path)
        if alpha is not None:
            known.setdefault(f"{name}.alpha", torch.tensor(alpha))
    return known


def unknown_keys(keys: list[str], where: object) -> AdapterError:
    """The error for keys that no algorithm takes."""
    shown = ", ".join(sorted(keys)[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
    return AdapterError(
        f"{len(keys)} of its keys belong to no known adapter algorithm: {shown}.",
        where=where,
        hint="It is no adapter, or one of a kind that is not read yet.",
    )


def _split(key: str) -> tuple[str, str, str] | None:
    """(owner with its dot, dotted path, kohya suffix) of a diffusers or PEFT key."""
    key = key.removeprefix(PEFT_ROOT) if key.startswith(tuple(PEFT_ROOT + owner for owner in OWNERS)) else key
    if key.startswith(PEFT_ROOT):  # PEFT's own file of a bare UNet
        key = f"unet.{key.removeprefix(PEFT_ROOT)}"
    owner = next((each for each in OWNERS if key.startswith(each)), None)
    if owner is None:
        return None
    for ending, replacement in _ENDINGS:
        rewritten, found = ending.subn(replacement, key.removeprefix(owner))
        if found:
            path, suffix = rewritten.split("|")
            if owner != "unet.":
                path = _TEXT_ATTENTION.sub(lambda match: f".self_attn.{match[1].removesuffix('.0')}_proj", path)
            return owner, path, suffix
    return None


def _configured_alpha(metadata: Mapping[str, str], owner: str, path: str) -> float | None:
    """alpha of a layer by the `lora_adapter_metadata` of diffusers: its pattern for the path, else the one."""
    try:
        config: Any = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        patterns = config.get(f"{owner}.alpha_pattern") or {}
        for pattern, alpha in patterns.items():
            if path == pattern or path.endswith(f".{pattern}"):
                return float(alpha)
        alpha = config.get(f"{owner}.lora_alpha")
        return None if alpha is None else float(alpha)
    except (ValueError, TypeError, AttributeError):
        return None
