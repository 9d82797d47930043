"""The forms that kohya's arguments come in: sections of TOML, and the graphical front end's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.adapters.algorithms import ALGORITHMS

_GUI_NAMES = {
    # kohya's graphical front end has names of its own.
    "epoch": "max_train_epochs",
    "LoRA_type": "lora_type",
    "optimizer": "optimizer_type",
    "max_resolution": "resolution",
}
_UNUSED_NOISE = {
    # What it does not pass on with each of its types of noise offset.
    "original": ("multires_noise_iterations", "multires_noise_discount"),
    "multires": ("noise_offset", "noise_offset_random_strength", "adaptive_noise_scale"),
}
_NEVER = frozenset(("type", "training_method", "unetLR"))
"""Keys that other trainers' files have and kohya's never."""
_MARKS = frozenset(
    ("network_dim", "network_module", "unet_lr", "max_train_epochs", "max_train_steps", "optimizer_type")
)


def is_kohya(document: Mapping[str, Any]) -> bool:
    """Whether a document holds arguments of kohya's trainer."""
    arguments = flatten(document)
    if _NEVER & arguments.keys():
        return False
    return bool(_MARKS & (arguments.keys() | {_GUI_NAMES.get(key, key) for key in arguments}))


def flatten(document: Mapping[str, Any]) -> dict[str, Any]:
    """Sections dissolved, as sd-scripts reads its configuration: a section's name means nothing.

    Of several datasets and subsets the first one's settings are taken.
    """
    flat: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping) and key not in ("network_args", "optimizer_args"):
            flat |= flatten(value)
        elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
            flat |= {name: each for name, each in flatten(value[0]).items() if name not in flat}
        else:
            flat[key] = value
    if "batch_size" in flat:
        flat.setdefault("train_batch_size", flat.pop("batch_size"))
    for key in ("image_dir", "class_tokens", "is_reg", "metadata_file"):
        flat.pop(key, None)
    return flat


def from_gui(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The graphical front end's names and forms as arguments; others pass through."""
    renamed = {_GUI_NAMES.get(key, key): value for key, value in arguments.items()}
    for unused in _UNUSED_NOISE.get(str(renamed.pop("noise_offset_type", "")).lower(), ()):
        renamed.pop(unused, None)
    kind = str(renamed.pop("lora_type", "")).lower()
    extra: list[str] = []
    if kind:
        modules = {f"lycoris/{each.kohya.algo}": each.kohya.algo for each in ALGORITHMS.values() if each.trainable}
        if kind in modules:
            renamed["network_module"] = "lycoris.kohya"
            extra.append(f"algo={modules[kind]}")
        elif "dylora" in kind:
            renamed["network_module"] = ALGORITHMS["dylora"].kohya.module
        for key in ("conv_dim", "conv_alpha"):
            value = renamed.pop(key, None)
            if value and (kind in modules or "locon" in kind or "lierla" in kind):
                extra.append(f"{key}={value}")
        for zero in ("max_train_epochs", "max_train_steps", "save_every_n_steps", "save_every_n_epochs", "seed"):
            if renamed.get(zero) in (0, "", "0"):
                renamed.pop(zero, None)
        warmup = renamed.pop("lr_warmup", 0)
        if warmup:
            renamed.setdefault("lr_warmup_steps", float(warmup) / 100)
    if extra:
        given = renamed.get("network_args") or []
        renamed["network_args"] = [*(given.split() if isinstance(given, str) else given), *extra]
    return renamed
