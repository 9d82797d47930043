"""Pictures that training has drawn: samples of a snapshot, and the base's own pictures to preserve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lorasmith.adapters.shelf import AdapterShelf
from lorasmith.bases.base import Base
from lorasmith.diffusion.noise import key_number
from lorasmith.events import Progress, SampleDrawn, Work
from lorasmith.generation.pictures import save_picture
from lorasmith.generation.request import Request
from lorasmith.generation.studio import Studio
from lorasmith.recipe.buckets import Size
from lorasmith.recipe.recipe import SampleTable
from lorasmith.training.latents import to_pixels
from lorasmith.training.preservation import PriorPictures


def draw_samples(base: Base, snapshot: Path, folder: Path, step: int, table: SampleTable, size: Size) -> Work[None]:
    """Draw the recipe's sample prompts with a snapshot, one seed for all steps, to compare them.

    The adapter is added to prompts that do not name it themselves.
    """
    studio = Studio(base, AdapterShelf([snapshot.parent]))
    requests = [
        Request(
            prompt=f"{prompt} <lora:{snapshot.stem}:{table.strength:g}>",
            seed=table.seed,
            steps=table.steps,
            width=size[0],
            height=size[1],
        )
        for prompt in table.prompts
    ]
    pictures = yield from studio.draw(requests)
    for number, (picture, prompt) in enumerate(zip(pictures, table.prompts, strict=True)):
        path = folder / f"{step:08d}-{number:02d}.png"
        save_picture(picture, path)
        yield SampleDrawn(path, step, prompt)


def draw_prior(base: Base, prompts: Sequence[str], sizes: Sequence[Size], count: int, seed: int) -> Work[PriorPictures]:
    """Let the bare base draw `count` pictures at every size, and encode them again."""
    studio = Studio(base, AdapterShelf([]))
    latents: dict[Size, Tensor] = {}
    texts: dict[Size, tuple[str, ...]] = {}
    for done, size in enumerate(sizes, start=1):
        texts[size] = tuple(prompts[number % len(prompts)] for number in range(count))
        requests = [
            Request(prompt=prompt, seed=key_number(seed, size[0], size[1], number, "prior") % 2**31,
                    width=size[0], height=size[1])
            for number, prompt in enumerate(texts[size])
        ]  # fmt: skip
        pictures = yield from studio.draw(requests)
        encoded = [base.encode_images(to_pixels(picture.image).unsqueeze(0)) for picture in pictures]
        latents[size] = torch.cat(encoded).to("cpu", torch.float32)
        yield Progress("drawing prior", done, len(sizes))
    return PriorPictures(latents, texts)
