"""FLUX.2-klein's live models: loading them, latents, and a pass through the transformer.

Shapes: B rows, C channels, H and W of latents (a number for each 16 x 16 pixels), N = H W, T tokens of the text.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lorasmith.bases.families.evidence import read_config
from lorasmith.bases.families.family import Parts, Structure
from lorasmith.bases.families.klein_file import file_parts
from lorasmith.bases.folders import load_model
from lorasmith.bases.precision import Weights
from lorasmith.bases.shipped import tokenizer_beside
from lorasmith.bases.text.context import Context
from lorasmith.bases.tokenizers import load_tokenizer


def read_parts(structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
    """The parts of a base in diffusers' layout. Raises BaseError."""
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
    from transformers import AutoTokenizer, Qwen3Model

    folder, family = structure.evidence.path, structure.family
    (text,) = family.text
    model = load_model(folder, text.owner, Qwen3Model.from_pretrained, dtype, weights, family.kept_wide)
    transformer = Flux2Transformer2DModel.from_pretrained
    denoiser = load_model(folder, family.denoiser_part, transformer, dtype, weights, family.kept_wide)
    vae = load_model(folder, "vae", AutoencoderKLFlux2.from_pretrained, dtype)
    tokenizer = load_tokenizer(folder, text.tokenizer, AutoTokenizer)
    return Parts(denoiser, vae, ((model, tokenizer),), read_config(folder, "scheduler", "scheduler_config.json"))


def read_file(structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
    """The parts of a base in ComfyUI's files. Raises BaseError."""
    from lorasmith.bases.checkpoint import read_model

    family, models, (qwen, vae) = structure.family, _empty_models(structure), file_parts(structure)
    files = {"vae": vae, "text_encoder": qwen}
    for part, model in models.items():
        sources = family.sources(structure, part, model.state_dict().keys())
        kept: Weights = "full" if part == "vae" else weights
        read_model(files.get(part, structure.evidence), model, sources, dtype, kept, family.kept_wide)
    size = structure.text[0].config["vocab_size"]
    tokenizer = tokenizer_beside(structure.evidence.path, family.text[0].tokenizer, size)
    text = ((models["text_encoder"], tokenizer),)
    return Parts(models["transformer"], models["vae"], text, {"use_dynamic_shifting": True})


def _empty_models(structure: Structure) -> dict[str, Any]:
    """The parts without memory (on the meta device), but for the tables of their positions."""
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    with torch.device("meta"):
        models = {
            "transformer": Flux2Transformer2DModel(**structure.denoiser),
            "vae": AutoencoderKLFlux2(**structure.vae),
            "text_encoder": Qwen3Model(Qwen3Config(**structure.text[0].config)),
        }
    rotary = models["text_encoder"].rotary_emb
    models["text_encoder"].rotary_emb = type(rotary)(rotary.config)
    return models


def denoise(denoiser: Any, x_t: Tensor, moment: Tensor, context: Context) -> Tensor:
    """The flow (B, C, H, W) from picture to noise; `moment` (B,) in [0, 1].

    What diffusers' own pass does; blocks are called with their arguments in order, so that they can be computed again.
    """
    condition = denoiser.time_guidance_embed(moment.to(x_t.dtype) * 1000, None)
    picture_turns = denoiser.double_stream_modulation_img(condition)
    text_turns = denoiser.double_stream_modulation_txt(condition)
    x = denoiser.x_embedder(x_t.flatten(2).transpose(1, 2))
    text = denoiser.context_embedder(context.hidden)
    places = _places(denoiser, text.shape[1], (x_t.shape[2], x_t.shape[3]), x_t.device)
    for block in denoiser.transformer_blocks:
        text, x = block(x, text, picture_turns, text_turns, places)
    both, turns = torch.cat([text, x], dim=1), denoiser.single_stream_modulation(condition)
    for block in denoiser.single_transformer_blocks:
        both = block(both, None, turns, places)
    out = denoiser.proj_out(denoiser.norm_out(both[:, text.shape[1] :], condition))
    return out.transpose(1, 2).reshape(x_t.shape)  # type: ignore[no-any-return]


def _places(denoiser: Any, tokens: int, size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """How the positions of text and picture turn queries and keys: cosines and sines (T + N, a head's width)."""
    none, down, across = (torch.arange(each, device=device) for each in (1, *size))
    text = torch.cartesian_prod(none, none, none, torch.arange(tokens, device=device))
    picture = torch.cartesian_prod(none, down, across, none)
    return denoiser.pos_embed(torch.cat([text, picture]))  # type: ignore[no-any-return]


def encode(vae: Any, pixels: Tensor) -> Tensor:
    """Pixels (B, 3, 16 H, 16 W) in [-1, 1] to latents (B, C, H, W): patches of two by two, each number of them on its
    own mean and deviation; the mode."""
    z = torch.nn.functional.pixel_unshuffle(vae.encode(pixels).latent_dist.mode(), 2)
    mean, deviation = _moments(vae, z)
    return (z - mean) / deviation


def decode(vae: Any, latents: Tensor) -> Tensor:
    """Latents to pixels, about [-1, 1]."""
    mean, deviation = _moments(vae, latents)
    return vae.decode(torch.nn.functional.pixel_shuffle(latents * deviation + mean, 2)).sample  # type: ignore[no-any-return]


def _moments(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Means and deviations of the numbers in a patch, to go beside latents."""
    norm = vae.bn
    deviation = torch.sqrt(norm.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
    return norm.running_mean.view(1, -1, 1, 1).to(like), deviation.to(like)
