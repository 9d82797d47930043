"""An adapter's layers as diffusers, PEFT and ComfyUI spell them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.adapters.spelling.keys import PEFT_ROOT
from lorasmith.bases.families.family import Family
from lorasmith.bases.targets import TargetLayer
from lorasmith.errors import AdapterError
from lorasmith.remedies import Action, Do


def to_diffusers_keys(adapter: Adapter, family: Family, layers: Mapping[str, TargetLayer]) -> dict[str, Tensor]:
    """A LoRA's tensors as diffusers and PEFT spell them: ``unet.<path>.lora_A.weight``, fp32.

    alpha / rank is multiplied into lora_B, so that every reader's default, alpha = rank, is right. `layers` are those
    of the base, or of the family's public models. Raises AdapterError for a layer that is not among them, and for what
    diffusers cannot read.
    """
    tensors: dict[str, Tensor] = {}
    for name, factors in fit_names(adapter, family, layers).items():
        target = layers[name]
        spelt = factors.as_peft()
        if spelt is None:
            raise AdapterError(
                f"{name} is a {' over '.join(factors.parts)}, which has no spelling in diffusers.",
                where=adapter.name,
                hint="Make a plain LoRA of it first:",
                remedy=Do(Action.CONVERT, adapter="FILE", out="NEW"),
            )
        tensors |= {f"{target.owner}.{target.path}.{_whole(suffix)}": tensor for suffix, tensor in spelt.items()}
    return tensors


def to_comfyui_keys(adapter: Adapter, family: Family, layers: Mapping[str, TargetLayer]) -> dict[str, Tensor]:
    """The tensors as ComfyUI, ai-toolkit and diffusion-pipe spell them: ``diffusion_model.<path>.lora_A.weight``, fp32,
    factors as they are.

    Without an alpha the scale is 1 there, and diffusers, too, takes files without. So a plain LoRA's alpha / rank is
    multiplied in where it is a power of two, which changes no digits; else alpha stands beside the factors. Raises
    AdapterError for a layer that is not among `layers`, and for what ComfyUI does not read.
    """
    tensors: dict[str, Tensor] = {}
    for name, factors in fit_names(adapter, family, layers).items():
        if not set(factors.parts) <= _READ_BY_COMFYUI:
            raise AdapterError(
                f"{name} is a {' over '.join(factors.parts)}, which ComfyUI does not read.",
                where=adapter.name,
                hint="Make a plain LoRA of it first:",
                remedy=Do(Action.CONVERT, adapter="FILE", out="NEW"),
            )
        start, own = family.in_comfyui(layers[name]), factors.to_tensors()
        if "lora_mid.weight" not in own:  # a core stands beside kohya's words alone there
            own = {_IN_COMFYUI.get(suffix, suffix): tensor for suffix, tensor in own.items()}
        if own.keys() == {"lora_A.weight", "lora_B.weight", "alpha"}:
            own = _without_alpha(own, factors.scale)
        tensors |= {f"{start}.{suffix}": tensor for suffix, tensor in own.items()}
    return tensors


def _without_alpha(own: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """A plain LoRA's tensors with the scale in lora_B, where it is a power of two."""
    if math.frexp(scale)[0] != 0.5:
        return own
    return {"lora_A.weight": own["lora_A.weight"], "lora_B.weight": own["lora_B.weight"] * scale}


_IN_COMFYUI = {"lora_down.weight": "lora_A.weight", "lora_up.weight": "lora_B.weight"}
_READ_BY_COMFYUI = frozenset(
    ("lora", "dylora", "tucker", "dora", "biased", "loha", "lokr", "glora", "full", "norm", "oft", "boft")
)
"""Algorithms that `comfy/weight_adapter` and `comfy/lora.py` know."""


def _whole(suffix: str) -> str:
    """What PEFT calls a tensor in memory. For a UNet diffusers takes the shorter name of PEFT's files, too;
    transformers, which loads a text encoder's, does not."""
    return f"{suffix}.weight" if suffix == MAGNITUDE else suffix


MAGNITUDE = "lora_magnitude_vector"


def fit_names(adapter: Adapter, family: Family, layers: Mapping[str, TargetLayer]) -> dict[str, LayerFactors]:
    """The adapter's layers by the names in `layers`. Raises AdapterError listing those that are not there, and for a
    layer that is there twice."""
    spellings = family.spellings(layers)
    names = {name: spellings.get(name) for name in adapter.layers}
    found_twice = [name for name, count in Counter(filter(None, names.values())).items() if count > 1]
    if found_twice:
        raise AdapterError(f"names the layer {found_twice[0]} twice, in two spellings.", where=adapter.name)
    unknown = [name for name, found in names.items() if found is None]
    if unknown and not adapter.skips:
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
        rest = rest.removesuffix(".weight") if rest.endswith(f".{MAGNITUDE}.weight") else rest
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
        "lora_bias": any(key.endswith(".lora_B.bias") for key in tensors),
        "bias": "none",
        "inference_mode": True,
    }
