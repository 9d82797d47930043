"""Reading a diffusers folder into model parts: safetensors only, no network, every fault a BaseError."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import torch

from lorasmith.bases.compressed import compress_model
from lorasmith.bases.families.evidence import read_config
from lorasmith.bases.families.family import Parts, Structure
from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.bases.precision import Weights
from lorasmith.bases.tokenizers import first_line, load_tokenizer
from lorasmith.container import read_container
from lorasmith.errors import BaseError

UNSAFE = ("*.bin", "*.ckpt", "*.pt", "*.pth")
M = TypeVar("M")


def read_folder(structure: Structure, dtype: torch.dtype, weights: Weights = "full") -> Parts:
    """Load every part of a diffusers folder with a UNet and CLIP text encoders. Raises BaseError."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    folder, family = structure.evidence.path, structure.family
    text_classes = (CLIPTextModel, CLIPTextModelWithProjection)
    text = tuple(
        (
            load_model(folder, part.owner, text_class.from_pretrained, dtype, weights, family.kept_wide),
            load_tokenizer(folder, part.tokenizer, CLIPTokenizer),
        )
        for part, text_class in zip(family.text, text_classes, strict=False)
    )
    unet = UNet2DConditionModel.from_pretrained
    denoiser = load_model(folder, family.denoiser_part, unet, dtype, weights, family.kept_wide)
    vae = load_vae(folder, dtype)
    return Parts(denoiser, vae, text, read_config(folder, "scheduler", "scheduler_config.json"))


def load_vae(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import AutoencoderKL, AutoencoderTiny

    config = read_config(folder, "vae")
    kinds = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
    kind = kinds.get(config.get("_class_name", "AutoencoderKL"))
    if kind is None:
        raise BaseError(
            f"its VAE is a {config['_class_name']}.", where=folder / "vae", hint=f"Supported: {', '.join(kinds)}."
        )
    # NOTE: SDXL's VAE overflows in half precision; its config says so.
    return load_model(folder, "vae", kind.from_pretrained, torch.float32 if config.get("force_upcast") else dtype)


def load_model(
    folder: Path,
    part: str,
    load: Callable[..., Any],
    dtype: torch.dtype,
    weights: Weights = "full",
    kept_wide: Collection[str] = (),
) -> Any:
    """One part of a folder by its class's `from_pretrained`, frozen and in eval mode, kept compressed but for the
    layers in `kept_wide`. Raises BaseError."""
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
        raise BaseError(f"cannot be loaded: {first_line(fault)}.", where=where) from fault
    model.eval().requires_grad_(False)
    if weights != "full":
        compress_model(model, weights, dtype, kept_wide)
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
