"""Which tools take an adapter file, and how many of its layers each takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorasmith.adapters.spelling.keys import BOOKKEEPING, BUNDLED, PEFT_ROOT, read_key
from lorasmith.adapters.spelling.sketch import sketch_adapter
from lorasmith.bases.families import is_text_layer
from lorasmith.bases.families.family import Family
from lorasmith.bases.families.readers import LORA, Takes

_DOTTED = {
    "diffusion_model.": "comfyui",
    "text_encoders.": "comfyui",
    PEFT_ROOT: "peft",
    "unet.": "diffusers",
    "transformer.": "diffusers",
    "text_encoder": "diffusers",
    "text_conditioner.": "diffusers",
}


@dataclass(frozen=True)
class Taken:
    """What a tool takes of a file: so many of its `layers`; `refused` says why it takes none of it and stops."""

    tool: str
    taken: int
    layers: int
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"tool": self.tool, "taken": self.taken, "layers": self.layers, "refused": self.refused or None}


@dataclass(frozen=True)
class _Layer:
    name: str
    spelling: str
    algorithm: str
    keys: tuple[str, ...]


def tell_readers(shapes: Mapping[str, tuple[int, ...]], family: Family) -> list[Taken]:
    """What each tool that is known for the family takes of a file with tensors of these shapes."""
    layers = _layers(shapes)
    return [_taken(tool, takes, layers) for tool, takes in family.readers.items()]


def spelling_of(key: str) -> str:
    """Whose names a key has: kohya's, LyCORIS's, ComfyUI's, diffusers', PEFT's, or none's ("bare")."""
    if key.startswith(("lora_", "lycoris_")):
        return "kohya" if key.startswith("lora_") else "lycoris"
    return next((word for start, word in _DOTTED.items() if key.startswith(start)), "bare")


def _layers(shapes: Mapping[str, tuple[int, ...]]) -> list[_Layer]:
    told = sketch_adapter(shapes)
    keys: dict[str, list[str]] = {}
    for key in shapes:
        read = None if key.startswith((BUNDLED, BOOKKEEPING)) else read_key(key)
        if read is not None:
            keys.setdefault(read.layer, []).append(key)
    return [
        _Layer(name, spelling_of(own[0]), told.layers[name].algorithm, tuple(own))
        for name, own in keys.items()
        if name in told.layers
    ]


def _taken(tool: str, takes: Takes, layers: Sequence[_Layer]) -> Taken:
    for layer in layers:
        reason = _refusal(takes, layer)
        if reason:
            return Taken(tool, 0, len(layers), reason)
    return Taken(tool, sum(_takes(takes, layer) for layer in layers), len(layers))


def _takes(takes: Takes, layer: _Layer) -> bool:
    if layer.algorithm not in takes.spellings.get(layer.spelling, ()):
        return False
    if not takes.text and is_text_layer(layer.name) and "llm_adapter" not in layer.keys[0]:
        return layer.keys[0].startswith("text_conditioner.")
    return not _passed_over(takes, layer)


def _passed_over(takes: Takes, layer: _Layer) -> bool:
    """Whether a tool finds nothing in the layer for a word in its keys."""
    return any(layer.spelling == spelling and word in key for spelling, word in takes.but for key in layer.keys)


def _refusal(takes: Takes, layer: _Layer) -> str:
    if layer.spelling not in takes.strict or _passed_over(takes, layer):
        return ""
    if "others" in takes.refuses and layer.algorithm not in takes.spellings.get(layer.spelling, LORA):
        return f"it does not read {layer.algorithm} under these names"
    # NOTE: diffusers looks for "lora" in every key, which kohya's names have.
    if "alpha" in takes.refuses and layer.spelling != "kohya" and any(key.endswith(".alpha") for key in layer.keys):
        return "it reads no alpha under these names"
    if "down" in takes.refuses and any(".lora_down." in key for key in layer.keys):
        return "it reads no lora_down under these names"
    return ""
