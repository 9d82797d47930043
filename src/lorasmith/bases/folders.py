"""Reading a diffusers folder into model parts: safetensors only, no network, every fault a BaseError."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from lorasmith.bases.compressed import compress_model
from lorasmith.bases.families import find_family
from lorasmith.bases.families.family import Family
from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.bases.precision import Weights
from lorasmith.container import read_container
from lorasmith.errors import BaseError

UNSAFE = ("*.bin", "*.ckpt", "*.pt", "*.pth")
M = TypeVar("M")


@dataclass(frozen=True, eq=False)
class Parts:
    """What a folder holds, loaded, frozen and in eval mode. `text` holds (owner, model, tokenizer) in order."""

    family: Family
    denoiser: Any
    vae: Any
    text: tuple[tuple[str, Any, Any], ...]
    schedule_config: Mapping[str, Any]


def family_of(folder: Path) -> Family:
    """Which family the folder's UNet and text encoders belong to, by their configs only. Raises BaseError."""
    config = read_config(folder, "unet")
    if config.get("in_channels") != config.get("out_channels"):
        raise BaseError(
            f"its UNet takes {config.get('in_channels')} channels and gives {config.get('out_channels')}.",
            where=folder,
            hint="Inpainting and editing models are no bases for training; take the plain model.",
        )
    if config.get("addition_embed_type") == "text_time":
        if not (folder / "text_encoder_2").is_dir() or not (folder / "text_encoder").is_dir():
            raise BaseError("an SDXL model needs text_encoder and text_encoder_2.", where=folder)
        return find_family("sdxl")
    if config.get("addition_embed_type") is not None or config.get("encoder_hid_dim_type") is not None:
        raise BaseError("its UNet takes conditions that no supported family has.", where=folder)
    if (config.get("in_channels"), config.get("cross_attention_dim")) == (8, 128):
        return find_family("doodle")
    return find_family("sd2" if config.get("use_linear_projection") else "sd1")


def read_folder(folder: Path, dtype: torch.dtype, weights: Weights = "full") -> Parts:
    """Load every part of the diffusers folder. Raises BaseError."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    if not folder.is_dir():
        raise BaseError(
            "no such file or folder.",
            where=folder,
            hint='Give a checkpoint file, a diffusers folder, OWNER/REPOSITORY as on the hub, or "doodle".',
        )
    if (folder / "transformer").is_dir() and not (folder / "unet").is_dir():
        raise BaseError("this model has a transformer, not a UNet.", where=folder, hint="Supported: SD 1, SD 2, SDXL.")
    family = family_of(folder)
    owners = [("text_encoder", "tokenizer")]
    if family.name == "sdxl":
        owners.append(("text_encoder_2", "tokenizer_2"))
    text_classes = (CLIPTextModel, CLIPTextModelWithProjection)
    text = tuple(
        (
            owner,
            _load_model(folder, owner, text_class.from_pretrained, dtype, weights),
            _load_tokenizer(folder, name, CLIPTokenizer),
        )
        for (owner, name), text_class in zip(owners, text_classes, strict=False)
    )
    denoiser = _load_model(folder, "unet", UNet2DConditionModel.from_pretrained, dtype, weights)
    vae = _load_vae(folder, dtype)
    schedule = read_config(folder, "scheduler", "scheduler_config.json")
    return Parts(family, denoiser, vae, text, schedule)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the folder's parts, sorted; other files do not change what the base computes."""
    return sorted(file for file in folder.glob("*/*.safetensors") if file.is_file())


def read_config(folder: Path, part: str, name: str = "config.json") -> dict[str, Any]:
    """One part's config. Raises BaseError when it is missing or not JSON."""
    file = folder / part / name
    try:
        config = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise BaseError(
            f"no {part}/{name}.", where=folder, hint="A base is a diffusers folder: unet/, vae/, text_encoder/ ..."
        ) from None
    except (OSError, ValueError) as fault:
        raise BaseError(f"cannot be read: {fault}.", where=file) from None
    if not isinstance(config, dict):
        raise BaseError("is not a JSON object.", where=file)
    return config


def _load_vae(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import AutoencoderKL, AutoencoderTiny

    config = read_config(folder, "vae")
    kinds = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
    kind = kinds.get(config.get("_class_name", "AutoencoderKL"))
    if kind is None:
        raise BaseError(
            f"its VAE is a {config['_class_name']}.", where=folder / "vae", hint=f"Supported: {', '.join(kinds)}."
        )
    # NOTE: SDXL's VAE overflows in half precision; its config says so.
    return _load_model(folder, "vae", kind.from_pretrained, torch.float32 if config.get("force_upcast") else dtype)


def _load_model(
    folder: Path, part: str, load: Callable[..., Any], dtype: torch.dtype, weights: Weights = "full"
) -> Any:
    where = folder / part
    read_config(folder, part)
    variant = _variant(where)
    # Weights that will be compressed are taken as they are stored, so that they stay mapped from disk until then.
    read_as = dtype if weights == "full" else _stored_dtype(where, dtype)
    dtype_name = "dtype" if part.startswith("text_encoder") else "torch_dtype"
    try:
        with quiet_libraries():
            model = load(where, use_safetensors=True, local_files_only=True, variant=variant, **{dtype_name: read_as})
    except Exception as fault:  # the libraries raise everything from KeyError to SafetensorError here
        raise BaseError(f"cannot be loaded: {_first_line(fault)}.", where=where) from fault
    model.eval().requires_grad_(False)
    if weights != "full":
        compress_model(model, weights, dtype)
    return model


def _stored_dtype(where: Path, otherwise: torch.dtype) -> torch.dtype:
    """The numbers of most of a part's tensors, as far as its first file tells."""
    file = sorted(where.glob("*.safetensors"))[0]
    names = Counter(entry.dtype for entry in read_container(file, BaseError, "a base").tensors.values())
    stored = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    return stored.get(names.most_common(1)[0][0], otherwise) if names else otherwise


def _variant(where: Path) -> str | None:
    """None for plain file names, "fp16" where only that spelling is there. Raises BaseError without safetensors."""
    files = sorted(where.glob("*.safetensors"))
    if not files:
        unsafe = [file.name for pattern in UNSAFE for file in where.glob(pattern)]
        if unsafe:
            raise BaseError(
                f"only {', '.join(sorted(unsafe))}: pickled weights can run code, so they are not read.",
                where=where,
                hint="Take the model's safetensors files, or convert it in a place you trust.",
            )
        raise BaseError("no .safetensors file.", where=where)
    if any(".fp16." not in file.name for file in files):
        return None
    return "fp16"


def _load_tokenizer(folder: Path, name: str, kind: type[Any]) -> Any:
    where = folder / name
    if not where.is_dir():
        raise BaseError(f"no {name} folder.", where=folder)
    try:
        with quiet_libraries():
            tokenizer = kind.from_pretrained(where, local_files_only=True)
    except Exception as fault:  # as above
        raise BaseError(f"cannot be loaded: {_first_line(fault)}.", where=where) from fault
    if len(tokenizer) < 3:
        raise BaseError("has an empty vocabulary.", where=where)
    return tokenizer


def _first_line(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0].rstrip(".")
