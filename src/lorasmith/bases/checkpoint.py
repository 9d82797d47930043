"""Single-file safetensors checkpoints in the original layout, made into the parts that a diffusers folder has.

The models are built without memory and take the file's own tensors: what needs no other dtype stays mapped from disk.
What is kept compressed is compressed tensor by tensor, from the mapped file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lorasmith.bases.clip import SIZE, clip_tokenizer
from lorasmith.bases.compressed import compress, compressible_layers, turn_compressed
from lorasmith.bases.families.evidence import Evidence, Prediction
from lorasmith.bases.families.family import Parts, Structure
from lorasmith.bases.families.original import Source, vae_sources
from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.bases.precision import Weights
from lorasmith.container import Header
from lorasmith.errors import BaseError

Read = Callable[[str], Tensor]


def read_checkpoint(structure: Structure, dtype: torch.dtype, weights: Weights = "full") -> Parts:
    """Load every part of a single file. Raises BaseError."""
    from safetensors import SafetensorError, safe_open

    path = structure.evidence.path
    try:
        with safe_open(path, framework="pt") as opened, quiet_libraries():
            return _parts(structure, opened.get_tensor, dtype, weights)
    except (SafetensorError, OSError) as fault:
        raise BaseError(f"cannot be read: {fault}.", where=path) from None


def read_model(
    evidence: Evidence,
    model: nn.Module,
    sources: Mapping[str, Source],
    dtype: torch.dtype,
    weights: Weights = "full",
    kept_wide: Collection[str] = (),
) -> None:
    """Give an empty model its weights from a file, frozen and in eval mode, kept compressed but for the layers in
    `kept_wide`. Raises BaseError."""
    from safetensors import SafetensorError, safe_open

    header, where = evidence.header, evidence.path
    assert header is not None
    layers = compressible_layers(model, kept_wide) if weights != "full" else ()
    compressed = {f"{path}.weight": layer for path, layer in layers}
    try:
        with safe_open(where, framework="pt") as opened, quiet_libraries():
            _fill(model, sources, header, opened.get_tensor, dtype, weights, compressed, where)
    except (SafetensorError, OSError) as fault:
        raise BaseError(f"cannot be read: {fault}.", where=where) from None


def empty_models(structure: Structure) -> dict[str, Any]:
    """The parts without memory (on the meta device): unet, vae, text_encoder, text_encoder_2."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kinds = (CLIPTextModel, CLIPTextModelWithProjection)
    with torch.device("meta"):
        return {
            "unet": UNet2DConditionModel(**structure.denoiser),
            "vae": AutoencoderKL(**structure.vae),
            **{
                text.owner: kind(CLIPTextConfig(**text.config))
                for text, kind in zip(structure.text, kinds, strict=False)
            },
        }


def part_sources(structure: Structure, part: str, model: nn.Module) -> Mapping[str, Source]:
    """Key of the part's model -> its place in the checkpoint."""
    keys = model.state_dict().keys()
    if part == "vae":
        return vae_sources(keys, len(structure.vae["block_out_channels"]))
    return structure.family.sources(structure, part, keys)


def schedule_config(prediction: Prediction, zero_snr: bool) -> dict[str, Any]:
    """The noise schedule of every model of the families, as diffusers spells it."""
    return {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "prediction_type": prediction,
        "rescale_betas_zero_snr": zero_snr,
    }


def _parts(structure: Structure, read: Read, dtype: torch.dtype, weights: Weights) -> Parts:
    where, header, kept_wide = structure.evidence.path, structure.evidence.header, structure.family.kept_wide
    assert header is not None
    models = empty_models(structure)
    for part, model in models.items():
        # NOTE: SDXL's VAE overflows in half precision.
        own = torch.float32 if part == "vae" and structure.vae["force_upcast"] else dtype
        kept: Weights = "full" if part == "vae" else weights
        layers = compressible_layers(model, kept_wide) if kept != "full" else ()
        compressed = {f"{path}.weight": layer for path, layer in layers}
        _fill(model, part_sources(structure, part, model), header, read, own, kept, compressed, where)
    for text in structure.text:
        if text.config["vocab_size"] != SIZE:
            raise BaseError(f"its text encoder knows {text.config['vocab_size']} tokens, CLIP has {SIZE}.", where=where)
    texts = tuple((models[text.owner], clip_tokenizer(text.pad)) for text in structure.text)
    schedule = schedule_config(structure.prediction or "epsilon", structure.zero_snr)
    return Parts(models["unet"], models["vae"], texts, schedule)


def _fill(
    model: nn.Module,
    sources: Mapping[str, Source],
    header: Header,
    read: Read,
    dtype: torch.dtype,
    weights: Weights,
    compressed: Mapping[str, nn.Module],
    where: Path,
) -> None:
    """Give an empty model its weights. Raises BaseError for a missing one, another shape, NaN."""
    missing = sorted({source.key for source in sources.values()} - header.tensors.keys())
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise BaseError(
            f"lacks {', '.join(missing[:3])}{more}.",
            where=where,
            hint="It is cut short, or its blocks are not those of its family.",
        )
    state: dict[str, Tensor] = {}
    for key, empty in model.state_dict().items():
        source = sources[key]
        weight = source.take(read(source.key))
        if weight.shape != empty.shape:
            shapes = f"{tuple(weight.shape)} instead of {tuple(empty.shape)}"
            raise BaseError(f"{source.key} has the shape {shapes}.", where=where)
        if key in compressed:
            check_finite(weight, source.key, where)
            codes, scales = compress(weight, weights)
            turn_compressed(compressed[key], codes, scales, dtype)
            path = key.removesuffix("weight")
            state |= {f"{path}codes": codes, f"{path}scales": scales}
            continue
        weight = weight.to(dtype)
        check_finite(weight, source.key, where)
        state[key] = weight
    model.load_state_dict(state, assign=True)
    for module in model.modules():
        positions = getattr(module, "position_ids", None)
        if isinstance(positions, Tensor) and positions.is_meta:
            module.position_ids = torch.arange(positions.shape[-1]).expand(positions.shape)
    model.eval().requires_grad_(False)


def check_finite(weight: Tensor, key: str, where: Path) -> None:
    """Raises BaseError for NaN or infinite values."""
    if not bool(torch.isfinite(weight.sum(dtype=torch.float32))):
        raise BaseError(
            f"{key} holds NaN or infinite values: the model is broken.",
            where=where,
            hint="Download it again, or take another version of it.",
        )
