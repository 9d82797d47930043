"""Pictures that the base itself draws, to preserve what it makes of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lorasmith.adapters.cache import AdapterCache
from lorasmith.bases.base import Base
from lorasmith.bases.hardware import precision_of
from lorasmith.diffusion.noise import key_number
from lorasmith.events import Work
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.recipe.buckets import Size
from lorasmith.storage.files import write_file
from lorasmith.training.inputs.latents import encode_alone, to_pixels
from lorasmith.training.inputs.preservation import PriorPictures


def draw_prior(
    base: Base, prompts: Sequence[str], sizes: Sequence[Size], count: int, steps: int, seed: int, folder: Path
) -> Work[PriorPictures]:
    """Let the bare base draw `count` pictures of so many sampling steps at every size, and encode them again.

    They are kept below `folder`, so that the next run, or the same one resumed, finds them.
    """
    latents: dict[Size, Tensor] = {}
    texts: dict[Size, tuple[str, ...]] = {}
    for size in sizes:
        texts[size] = tuple(prompts[number % len(prompts)] for number in range(count))
        drawn = [texts[size], size, steps, base.cfg, seed]
        facts = [base.content_hash, precision_of(base.dtype), base.weights, *drawn]
        file = folder / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}.safetensors"
        kept = _read_kept(file)
        if kept is None:
            kept = yield from _draw_latents(base, texts[size], size, steps, seed)
            write_file(file, save({"latents": kept}))
        latents[size] = kept
    return PriorPictures(latents, texts)


def _draw_latents(base: Base, prompts: Sequence[str], size: Size, steps: int, seed: int) -> Work[Tensor]:
    """Latents (n, C, H, W) float32 of pictures drawn by the bare base."""
    pipeline = Pipeline(base, AdapterCache([]), advises=False)
    specs = [
        PictureSpec(prompt=prompt, seed=key_number(seed, size[0], size[1], number, "prior") % 2**31,
                width=size[0], height=size[1], steps=steps)
        for number, prompt in enumerate(prompts)
    ]  # fmt: skip
    pictures = yield from pipeline.draw(specs)
    return torch.stack(
        [
            encode_alone(base, to_pixels(picture.image), f'a picture drawn for "{prompt}"')
            for picture, prompt in zip(pictures, prompts, strict=True)
        ]
    )


def _read_kept(file: Path) -> Tensor | None:
    try:
        latents: Tensor = load_file(file)["latents"]
    except (OSError, SafetensorError, KeyError):
        return None
    return latents
