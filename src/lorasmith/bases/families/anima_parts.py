"""Anima's live models: loading them, and a pass through the transformer. Shapes: B rows, C channels, H and W of
latents, T tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lorasmith.bases.families.anima_file import beside_of
from lorasmith.bases.families.evidence import read_config
from lorasmith.bases.families.family import Parts, Structure
from lorasmith.bases.folders import load_model
from lorasmith.bases.precision import Weights
from lorasmith.bases.shipped import tokenizer_beside
from lorasmith.bases.text.conditioned import FLOOR
from lorasmith.bases.text.context import Context
from lorasmith.bases.tokenizers import load_tokenizer


def read_parts(structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
    """The parts of a base in diffusers' layout. Raises BaseError."""
    from diffusers import AnimaTextConditioner, AutoencoderKLQwenImage, CosmosTransformer3DModel
    from transformers import AutoTokenizer, Qwen3Model

    folder, family = structure.evidence.path, structure.family
    kinds = {"text_encoder": Qwen3Model, "text_conditioner": AnimaTextConditioner}
    text = tuple(
        (
            load_model(folder, part.owner, kinds[part.owner].from_pretrained, dtype, weights, family.kept_wide),
            load_tokenizer(folder, part.tokenizer, AutoTokenizer),
        )
        for part in family.text
    )
    transformer = CosmosTransformer3DModel.from_pretrained
    denoiser = load_model(folder, "transformer", transformer, dtype, weights, family.kept_wide)
    vae = load_model(folder, "vae", AutoencoderKLQwenImage.from_pretrained, dtype)
    return Parts(ready(denoiser), vae, text, read_config(folder, "scheduler", "scheduler_config.json"))


def read_file(structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
    """The parts of a base in ComfyUI's files. Raises BaseError."""
    from lorasmith.bases.checkpoint import read_model

    family, models, beside = structure.family, _empty_models(structure), beside_of(structure)
    files = {"vae": beside.vae, "text_encoder": beside.qwen}
    for part, model in models.items():
        sources = family.sources(structure, part, model.state_dict().keys())
        kept: Weights = "full" if part == "vae" else weights
        read_model(files.get(part, structure.evidence), model, sources, dtype, kept, family.kept_wide)
    sizes = (structure.text[0].config["vocab_size"], structure.text[1].config["target_vocab_size"])
    where = structure.evidence.path
    text = tuple(
        (models[part.owner], tokenizer_beside(where, part.tokenizer, size))
        for part, size in zip(family.text, sizes, strict=True)
    )
    return Parts(ready(models["transformer"]), models["vae"], text, SCHEDULE)


SCHEDULE = {"shift": 3.0}
"""diffusers' `convert_anima_to_diffusers.py`; a file does not say."""


def _empty_models(structure: Structure) -> dict[str, Any]:
    """The parts without memory (on the meta device), but for the tables of their positions."""
    from diffusers import AnimaTextConditioner, AutoencoderKLQwenImage, CosmosTransformer3DModel
    from transformers import Qwen3Config, Qwen3Model

    qwen, conditioner = (dict(text.config) for text in structure.text)
    del conditioner["num_hidden_layers"]
    with torch.device("meta"):
        models = {
            "transformer": CosmosTransformer3DModel(**structure.denoiser),
            "vae": AutoencoderKLQwenImage(**structure.vae),
            "text_encoder": Qwen3Model(Qwen3Config(**qwen)),
            "text_conditioner": AnimaTextConditioner(**conditioner),
        }
    rotary = models["text_encoder"].rotary_emb
    models["text_encoder"].rotary_emb = type(rotary)(rotary.config)
    rotary = models["text_conditioner"].rotary_emb
    models["text_conditioner"].rotary_emb = type(rotary)(2 * len(rotary.inv_freq))
    return models


def ready(denoiser: Any) -> Any:
    """A transformer whose padding mask is given with the latents (`denoise`): diffusers' own way to it needs
    torchvision."""
    denoiser.masked = bool(denoiser.config.concat_padding_mask)
    denoiser.register_to_config(concat_padding_mask=False)
    return denoiser


def denoise(denoiser: Any, x_t: Tensor, moment: Tensor, context: Context) -> Tensor:
    """The flow (B, C, 1, H, W) from picture to noise; `moment` (B,) in [0, 1]."""
    if denoiser.masked:  # of zeros: nothing of the picture is padding
        x_t = torch.cat([x_t, torch.zeros_like(x_t[:, :1])], dim=1)
    # All of the first 512 vectors count, those of zeros too: only longer texts are masked.
    mask = context.mask if context.length > FLOOR else None
    out = denoiser(x_t, moment.to(x_t.dtype), context.hidden, attention_mask=mask, return_dict=False)
    return out[0]  # type: ignore[no-any-return]
