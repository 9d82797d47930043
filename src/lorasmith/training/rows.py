"""The rows of a micro-batch: latents, noise, timesteps, captions; each a function of (seed, epoch, item, visit)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lorasmith.diffusion.noise import draw_noise, draw_timestep, key_generator, key_number
from lorasmith.recipe.buckets import Size
from lorasmith.recipe.plan import PlannedImage
from lorasmith.recipe.recipe import Recipe
from lorasmith.tags.words import without_trigger
from lorasmith.training.batches import Batch, Visit
from lorasmith.training.captions import vary_caption
from lorasmith.training.latents import LatentCache
from lorasmith.training.preservation import PriorPictures, choose_plain_caption, count_preserved

TIMESTEPS = 1000


@dataclass(frozen=True)
class Rows:
    """B rows on the CPU: clean latents `x_0` and `noise` (B, C, H, W), timesteps `t` (B,) long, captions."""

    x_0: Tensor
    noise: Tensor
    t: Tensor
    captions: tuple[str, ...]


@dataclass(frozen=True)
class MicroBatch:
    """Rows to learn and rows to preserve (None when nothing is preserved), of one bucket (width, height)."""

    bucket: Size
    learned: Rows
    preserved: Rows | None


class RowSource:
    """Makes the rows of any batch of a run; reading the same batch twice gives the same rows."""

    def __init__(
        self,
        recipe: Recipe,
        images: Sequence[PlannedImage],
        captions: Sequence[str],
        latents: LatentCache,
        *,
        trigger: str,
        pool: Sequence[str] = (),
        prior: PriorPictures | None = None,
    ) -> None:
        self._images = images
        self._captions = captions
        self._plain = [without_trigger(caption, trigger) for caption in captions]
        self._latents = latents
        self._pool = pool
        self._prior = prior
        self._seed = recipe.seed
        self._offset = recipe.noise.offset
        self._flip = recipe.flip
        self._caption = recipe.caption
        self._share = 0.0 if recipe.preserve.kind == "none" or not recipe.preserve.weight else recipe.preserve.share

    def read(self, batch: Batch, epoch: int) -> MicroBatch:
        keys = [self._key(visit, epoch) for visit in batch.visits]
        x_0 = torch.stack([self._latent(visit, key) for visit, key in zip(batch.visits, keys, strict=True)])
        learned = self._rows(x_0, keys, [self._caption_of(v, k) for v, k in zip(batch.visits, keys, strict=True)])
        return MicroBatch(batch.bucket, learned, self._preserved(batch, keys, learned))

    def _key(self, visit: Visit, epoch: int) -> tuple[int | str, ...]:
        return (self._seed, epoch, self._images[visit.image].name, visit.visit)

    def _latent(self, visit: Visit, key: tuple[int | str, ...]) -> Tensor:
        flipped = self._flip and bool(key_number(*key, "flip") & 1)
        return self._latents.read(visit.image, flipped)

    def _caption_of(self, visit: Visit, key: tuple[int | str, ...]) -> str:
        table = self._caption
        return vary_caption(
            self._captions[visit.image],
            *key,
            shuffle=table.shuffle,
            keep_tokens=table.keep_tokens,
            dropout=table.dropout,
        )

    def _rows(self, x_0: Tensor, keys: Sequence[tuple[int | str, ...]], captions: Sequence[str]) -> Rows:
        generators = [key_generator(*key, "noise") for key in keys]
        t = torch.tensor([draw_timestep(TIMESTEPS, generator) for generator in generators])
        shape = tuple(x_0.shape[1:])
        noise = torch.stack([draw_noise(shape, generator, self._offset) for generator in generators])
        return Rows(x_0, noise, t, tuple(captions))

    def _preserved(self, batch: Batch, keys: Sequence[tuple[int | str, ...]], learned: Rows) -> Rows | None:
        count = count_preserved(self._share, len(keys))
        if not count:
            return None
        # Batches are shuffled, so that the first rows are as good as any.
        keys = keys[:count]
        if self._prior is not None:
            latents, prompts = self._prior.latents[batch.bucket], self._prior.prompts[batch.bucket]
            chosen = [key_number(*key, "prior") % len(prompts) for key in keys]
            own_keys = [(*key, "prior") for key in keys]
            return self._rows(latents[chosen], own_keys, [prompts[number] for number in chosen])
        captions = [
            choose_plain_caption(self._plain[visit.image], self._pool, *key)
            for visit, key in zip(batch.visits, keys, strict=False)
        ]
        shuffled = [vary_caption(text, *key, "plain", shuffle=self._caption.shuffle)
                    for text, key in zip(captions, keys, strict=True)]  # fmt: skip
        return Rows(learned.x_0[:count], learned.noise[:count], learned.t[:count], tuple(shuffled))
