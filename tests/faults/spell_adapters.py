"""One adapter in the spelling of every tool: names of layers, names of tensors, and what goes with which."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms.lora.factors import LoraFactors
from lorasmith.bases.base import Base
from lorasmith.bases.targets import TargetLayer, underscored

CLIPS = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
Name = Callable[[TargetLayer], str]


def stability(target: TargetLayer) -> str:
    """A UNet's path in Stability's spelling."""
    return target.aliases[0]


def plain(target: TargetLayer) -> str:
    """A text encoder's path as transformers 5 has it."""
    return target.path.removeprefix("text_model.")


def numbered(target: TargetLayer, first: str) -> str:
    """kohya's prefix of a text encoder, the first one called `first`."""
    return "lora_te2" if target.owner == "text_encoder_2" else first


def kohya_text(first: str, path: Callable[[TargetLayer], str] = lambda target: target.path) -> Name:
    return lambda target: f"{numbered(target, first)}_{underscored(path(target))}"


@dataclass(frozen=True)
class Naming:
    """How a tool names a UNet's layers and text encoders', and where that is read; None: it has none of them."""

    unet: Name | None
    text: Name | None
    source: str


#: By tool. Where a tool has only one of the parts, the file is of that part alone.
NAMINGS: Mapping[str, Naming] = {
    "kohya": Naming(
        lambda target: target.name,
        lambda target: target.name,
        "sd-scripts, networks/lora.py, LoRANetwork.__init__ (LORA_PREFIX_UNET, _TEXT_ENCODER, _TEXT_ENCODER1, 2)",
    ),
    "kohya, diffusers' names": Naming(
        lambda target: f"lora_unet_{underscored(target.path)}",
        kohya_text("lora_te1"),
        "OneTrainer, load_lora_util.py, to_canonical (kohya_flat, identity body)",
    ),
    "kohya, Stability's names": Naming(
        lambda target: f"lora_unet_{underscored(stability(target))}",
        kohya_text("lora_te"),
        "ComfyUI, comfy/lora.py, model_lora_keys_unet and model_lora_keys_clip",
    ),
    "kohya, text_model left out": Naming(
        lambda target: target.name,
        kohya_text("lora_te", plain),
        "transformers 5, CLIPTextModel: no text_model in its keys; whoever names by live modules writes so",
    ),
    "diffusers": Naming(
        lambda target: f"unet.{target.path}",
        lambda target: f"{target.owner}.{target.path}",
        "diffusers, loaders/lora_pipeline.py, save_lora_weights",
    ),
    "diffusers, transformers 5": Naming(
        lambda target: f"unet.{target.path}",
        lambda target: f"{target.owner}.{plain(target)}",
        "transformers 5, CLIPTextModel",
    ),
    "PEFT, all parts": Naming(
        lambda target: f"base_model.model.unet.{target.path}",
        lambda target: f"base_model.model.{target.owner}.{target.path}",
        "peft, peft_model.py, save_pretrained",
    ),
    "PEFT, a UNet": Naming(lambda target: f"base_model.model.{target.path}", None, "peft, save_pretrained"),
    "ComfyUI": Naming(
        lambda target: f"diffusion_model.{stability(target)}",
        lambda target: f"text_encoders.{CLIPS[target.owner]}.transformer.{target.path}",
        "ComfyUI, comfy/lora.py, model_lora_keys_unet and model_lora_keys_clip; OneTrainer, _save_comfy",
    ),
    "a checkpoint's names": Naming(
        lambda target: f"model.diffusion_model.{stability(target)}", None, "A1111, lora_convert.py"
    ),
    "OneTrainer, internal": Naming(
        lambda target: f"unet.{target.path}",
        lambda target: f"{target.owner}.{target.path}",
        "OneTrainer, LoRASaverMixin._save_internal",
    ),
    "OneTrainer, OMI": Naming(
        lambda target: f"unet.{stability(target)}",
        lambda target: f"{CLIPS[target.owner]}.{target.path}",
        "OneTrainer before de1437cb, convert_sdxl_lora.py, convert_sdxl_lora_key_sets",
    ),
    "OneTrainer, old backups": Naming(
        lambda target: f"lora_unet.{target.path}",
        lambda target: f"{numbered(target, 'lora_te1')}.{target.path}",
        "OneTrainer before de1437cb, convert_lora_util.py, LoraConversionKeySet.diffusers_prefix",
    ),
    "OneTrainer, original": Naming(stability, None, "OneTrainer, LoRASaverMixin._save_original"),
    "bare, diffusers' names": Naming(
        lambda target: target.path, None, "ComfyUI, model_lora_keys_unet (diffusers_lora_prefix)"
    ),
    "LyCORIS wrapper": Naming(
        lambda target: f"lycoris_{underscored(target.path)}",
        None,
        "lycoris, wrapper.py, LycorisNetwork.LORA_PREFIX; ComfyUI, model_lora_keys_unet (simpletuner)",
    ),
    "LyCORIS wrapper, a text encoder": Naming(
        None,
        lambda target: f"lycoris_{underscored(target.path)}",
        "lycoris, wrapper.py, LycorisNetwork.LORA_PREFIX",
    ),
}


def folded(factors: LoraFactors, down: str, up: str) -> Mapping[str, Tensor]:
    return {down: factors.down, up: factors.up * factors.scale}


def with_alpha(factors: LoraFactors, down: str, up: str) -> Mapping[str, Tensor]:
    return {down: factors.down, up: factors.up, "alpha": torch.tensor(factors.alpha)}


#: How a tool names a LoRA's tensors.
TENSORS: Mapping[str, Callable[[LoraFactors], Mapping[str, Tensor]]] = {
    "lora_down, lora_up, alpha": lambda f: with_alpha(f, "lora_down.weight", "lora_up.weight"),
    "lora_A, lora_B": lambda f: folded(f, "lora_A.weight", "lora_B.weight"),
    "lora_A, lora_B, alpha": lambda f: with_alpha(f, "lora_A.weight", "lora_B.weight"),
    "lora_A.default": lambda f: folded(f, "lora_A.default.weight", "lora_B.default.weight"),
    "bare lora_A": lambda f: folded(f, "lora_A", "lora_B"),
    "lora.down": lambda f: folded(f, "lora.down.weight", "lora.up.weight"),
    "lora_linear_layer": lambda f: folded(f, "lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
}


def everywhere(base: Base, part: str | None, seed: int, ranks: Sequence[int] = (1, 2, 3)) -> Adapter:
    """A LoRA with an effect on every layer of the base that an adapter file may touch, norms aside."""
    random, generator = Random(seed), torch.Generator().manual_seed(seed)
    layers: dict[str, LoraFactors] = {}
    for name, target in base.layers.items():
        if target.kind == "norm" or part not in (None, target.part):
            continue
        shape = cast(nn.Linear, base.module(name)).weight.shape
        rank, ones = random.choice(ranks), (1,) * (len(shape) - 2)
        down = 0.2 * torch.randn(rank, *shape[1:], generator=generator)
        up = 0.2 * torch.randn(shape[0], rank, *ones, generator=generator)
        layers[name] = LoraFactors(down, up, random.choice((0.5, 1.0, float(rank))))
    return Adapter("whole", layers, {})


def spell(adapter: Adapter, base: Base, naming: str, tensors: str) -> dict[str, Tensor]:
    """The adapter's tensors with these names; layers of a part that the tool has not are left out."""
    names = NAMINGS[naming]
    found: dict[str, Tensor] = {}
    for own, factors in adapter.layers.items():
        target = base.layers[own]
        name = names.unet if target.part == "unet" else names.text
        assert isinstance(factors, LoraFactors)
        if name is not None:
            found |= {f"{name(target)}.{key}": each.contiguous() for key, each in TENSORS[tensors](factors).items()}
    return found
