"""Z-Image's live models: loading them, and a pass through the transformer.

Shapes: B rows, C channels, H and W of latents, N patches of the picture, T tokens of the text, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lorasmith.bases.families.evidence import read_config
from lorasmith.bases.families.family import Parts, Structure
from lorasmith.bases.families.zimage_file import parts_of
from lorasmith.bases.folders import load_model, load_vae
from lorasmith.bases.precision import Weights
from lorasmith.bases.shipped import tokenizer_beside
from lorasmith.bases.text.context import Context
from lorasmith.bases.tokenizers import load_tokenizer

MULTIPLE = 32
"""Sequences are as long as a multiple of it: what is missing are tokens of padding, which count."""
_PATCH = "2-1"


def read_parts(structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
    """The parts of a base in diffusers' layout. Raises BaseError."""
    from diffusers import ZImageTransformer2DModel
    from transformers import AutoTokenizer, Qwen3Model

    folder, family = structure.evidence.path, structure.family
    (text,) = family.text
    model = load_model(folder, text.owner, Qwen3Model.from_pretrained, dtype, weights, family.kept_wide)
    transformer = ZImageTransformer2DModel.from_pretrained
    denoiser = load_model(folder, "transformer", transformer, dtype, weights, family.kept_wide)
    tokenizer = load_tokenizer(folder, text.tokenizer, AutoTokenizer)
    schedule = read_config(folder, "scheduler", "scheduler_config.json")
    return Parts(denoiser, load_vae(folder, dtype), ((model, tokenizer),), schedule)


def read_file(structure: Structure, dtype: torch.dtype, weights: Weights, shift: float) -> Parts:
    """The parts of a base in ComfyUI's files; `shift` is the sampler's, which files do not tell. Raises BaseError."""
    from lorasmith.bases.checkpoint import read_model

    family, models, parts = structure.family, _empty_models(structure), parts_of(structure)
    files = {"vae": parts.vae, "text_encoder": parts.qwen}
    for part, model in models.items():
        sources = family.sources(structure, part, model.state_dict().keys())
        kept: Weights = "full" if part == "vae" else weights
        # NOTE: the VAE's configuration says that it goes beyond what half precision holds.
        own = torch.float32 if part == "vae" else dtype
        read_model(files.get(part, structure.evidence), model, sources, own, kept, family.kept_wide)
    size = structure.text[0].config["vocab_size"]
    tokenizer = tokenizer_beside(structure.evidence.path, family.text[0].tokenizer, size)
    text = ((models["text_encoder"], tokenizer),)
    return Parts(models["transformer"], models["vae"], text, {"shift": shift})


def _empty_models(structure: Structure) -> dict[str, Any]:
    """The parts without memory (on the meta device), but for the tables of their positions."""
    from diffusers import AutoencoderKL, ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    with torch.device("meta"):
        models = {
            "transformer": ZImageTransformer2DModel(**structure.denoiser),
            "vae": AutoencoderKL(**structure.vae),
            "text_encoder": Qwen3Model(Qwen3Config(**structure.text[0].config)),
        }
    rotary = models["text_encoder"].rotary_emb
    models["text_encoder"].rotary_emb = type(rotary)(rotary.config)
    return models


def denoise(denoiser: Any, x_t: Tensor, moment: Tensor, context: Context) -> Tensor:
    """The flow (B, C, H, W) from picture to noise; `moment` (B,) in [0, 1].

    The transformer is told 1 - t, and says the way back. What diffusers' own pass does row by row, its texts each of
    its own length, is done for all rows at once: the same numbers, and the first axis of every layer is the rows'.
    """
    condition = denoiser.t_embedder((1 - moment) * denoiser.t_scale).to(x_t.dtype)
    hidden, lengths = _whole_steps(context)
    x, x_turn = _embed_picture(denoiser, x_t, lengths)
    for block in denoiser.noise_refiner:
        x = block(x, None, x_turn, condition)
    text, text_turn, seen = _embed_text(denoiser, hidden, context, lengths)
    for block in denoiser.context_refiner:
        text = block(text, seen, text_turn)
    both, turn = torch.cat([x, text], dim=1), torch.cat([x_turn, text_turn], dim=1)
    if seen is not None:
        seen = torch.cat([seen.new_ones(x.shape[:2]), seen], dim=1)
    for block in denoiser.layers:
        both = block(both, seen, turn, condition)
    rows, _, height, width = x_t.shape
    patches = both[:, : height * width // 4]
    out = denoiser.all_final_layer[_PATCH](patches, c=condition)
    out = out.view(rows, height // 2, width // 2, 2, 2, -1).permute(0, 5, 1, 3, 2, 4)
    return -out.reshape(x_t.shape)  # type: ignore[no-any-return]


def _whole_steps(context: Context) -> tuple[Tensor, Tensor]:
    """The text's vectors (B, T, D), T a multiple of 32, and how many of them each row has (B,), whole steps too."""
    hidden = context.hidden
    longer = -hidden.shape[1] % MULTIPLE
    own = context.mask
    counts = hidden.new_full((len(context),), hidden.shape[1], dtype=torch.long) if own is None else own.sum(dim=1)
    return torch.nn.functional.pad(hidden, (0, 0, 0, longer)), -(-counts // MULTIPLE) * MULTIPLE


def _embed_picture(denoiser: Any, x_t: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The picture's patches (B, N, D), N a multiple of 32, and how their positions turn them. A picture stands behind
    its text, at the place after the last of `lengths` (B,)."""
    rows, channels, height, width = x_t.shape
    patches = x_t.view(rows, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 3, 5, 1)
    x = denoiser.all_x_embedder[_PATCH](patches.reshape(rows, height * width // 4, -1))
    padding = -x.shape[1] % MULTIPLE
    x = torch.cat([x, denoiser.x_pad_token.expand(rows, padding, -1)], dim=1)
    down = torch.arange(height // 2, device=x.device).repeat_interleave(width // 2)
    across = torch.arange(width // 2, device=x.device).repeat(height // 2)
    behind = (lengths + 1).view(rows, 1).expand(rows, len(down))
    places = torch.stack([behind, down.expand_as(behind), across.expand_as(behind)], dim=2)
    return x, _turn(denoiser, torch.nn.functional.pad(places, (0, 0, 0, padding)))


def _embed_text(
    denoiser: Any, hidden: Tensor, context: Context, lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The text's tokens (B, T, D), how their positions turn them, and which are seen, where not all are: those up to
    each row's own of `lengths` (B,), behind its text the tokens of padding."""
    rows, length = hidden.shape[:2]
    text = denoiser.cap_embedder(hidden)
    place = torch.arange(length, device=hidden.device)
    own = place < context.length if context.mask is None else place < context.mask.sum(dim=1, keepdim=True)
    text = torch.where(own.expand(rows, length).unsqueeze(2), text, denoiser.cap_pad_token)
    places = torch.stack([place + 1, torch.zeros_like(place), torch.zeros_like(place)], dim=1)
    turn = _turn(denoiser, places.unsqueeze(0)).expand(rows, -1, -1)
    seen = None if _are_whole(context, lengths, length) else place < lengths.unsqueeze(1)
    return text, turn, seen


def _are_whole(context: Context, lengths: Tensor, length: int) -> bool:
    """Whether every row of the context has all of the `length` tokens, up to whole steps. The device is asked only
    where the host does not know."""
    if context.mask is None:
        return True
    if context.counts is not None:
        return all(-(-count // MULTIPLE) * MULTIPLE == length for count in context.counts)
    return bool((lengths == length).all())


def _turn(denoiser: Any, places: Tensor) -> Tensor:
    """How positions (B, N, 3) turn queries and keys: (B, N, half a head) complex."""
    return denoiser.rope_embedder(places.flatten(0, 1)).unflatten(0, places.shape[:2])  # type: ignore[no-any-return]
