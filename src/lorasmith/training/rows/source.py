"""The rows of a micro-batch: latents, noise, timesteps, captions; each a function of (seed, epoch, item, visit)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from lorasmith.bases.framing import Framing, frame_whole
from lorasmith.diffusion.noise import key_generator, key_number
from lorasmith.diffusion.parametrisation import Parametrisation
from lorasmith.recipe.buckets import Size
from lorasmith.training.inputs.augmentation import choose_corner
from lorasmith.training.inputs.captions import vary_caption
from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.inputs.latents import Latents
from lorasmith.training.inputs.masks import MaskSource
from lorasmith.training.inputs.preservation import PriorPictures, choose_plain_caption, count_preserved, leave_blank
from lorasmith.training.rows.batches import Batch, Visit
from lorasmith.training.settings import RowSettings


@dataclass(frozen=True)
class Rows:
    """B rows on the CPU: clean latents `x_0` and `noise` (B, C, H, W), times `t` (B,) in [0, 1], captions.

    `seeds`: a number of its own for each row, for what is drawn later. `perturbation` (B, C, H, W): noise that the
    denoiser sees and is not asked for. `mask` (B, 1, H, W) in [0, 1]: where the loss counts. `framings`: what SDXL is
    told of each row (none: pictures of the bucket's size).
    `strengths` (B,): how strong the adapter acts on each row (none: 1).
    `of`: these are a part of so many rows (None: they are all); the losses of parts add up to that of all.
    """

    x_0: Tensor
    noise: Tensor
    t: Tensor
    captions: tuple[str, ...]
    of: int | None = None
    seeds: tuple[int, ...] = ()
    perturbation: Tensor | None = None
    mask: Tensor | None = None
    framings: tuple[Framing, ...] = ()
    strengths: tuple[float, ...] = ()

    def part(self, number: int, count: int) -> Rows | None:
        """Every `count`-th row from `number` on; None when there is none. The parts share all rows out."""
        chosen = range(number, len(self.captions), count)
        if not chosen:
            return None
        index = list(chosen)
        cut: dict[str, Any] = {
            each.name: value[index] if isinstance(value, Tensor) else tuple(value[row] for row in index)
            for each in fields(self)
            if isinstance(value := getattr(self, each.name), Tensor | tuple) and len(value)
        }
        return replace(self, **cut, of=self.of or len(self.captions))

    def joined(self, other: Rows) -> Rows:
        """These rows and, after them, the other ones; both without a mask."""
        one, two = self.perturbation, other.perturbation
        return Rows(
            torch.cat([self.x_0, other.x_0]),
            torch.cat([self.noise, other.noise]),
            torch.cat([self.t, other.t]),
            self.captions + other.captions,
            seeds=self.seeds + other.seeds,
            perturbation=None if one is None or two is None else torch.cat([one, two]),
            framings=self.framings + other.framings,
        )


@dataclass(frozen=True)
class MicroBatch:
    """Rows to learn and rows to preserve (None when nothing is preserved), of one bucket (width, height).

    `key` is a number of its own, for what is drawn once for all its rows.
    """

    bucket: Size
    learned: Rows
    preserved: Rows | None
    key: int = 0

    @property
    def rows(self) -> int:
        """How many rows go through the denoiser with the adapter."""
        return len(self.learned.captions) + (0 if self.preserved is None else len(self.preserved.captions))

    def part(self, number: int, count: int) -> MicroBatch | None:
        """One of `count` parts, whose losses add up to that of the whole; None when it has no rows."""
        learned = self.learned.part(number, count)
        if learned is None:
            return None
        return replace(self, learned=learned, preserved=self.preserved and self.preserved.part(number, count))


class RowSource:
    """Makes the rows of any batch of a run; reading the same batch twice gives the same rows."""

    def __init__(
        self,
        settings: RowSettings,
        latents: Latents,
        parametrisation: Parametrisation,
        *,
        pool: Sequence[str] = (),
        prior: PriorPictures | None = None,
        masks: MaskSource | None = None,
    ) -> None:
        self._latents = latents
        self._parametrisation = parametrisation
        self._pool = pool
        self._prior = prior
        self._masks = masks
        self._settings = settings
        self._noise, self._timesteps = settings.noise, settings.timesteps

    @property
    def class_images(self) -> Mapping[str, int]:
        """How many class images there are, by the name of their folder."""
        return {} if self._prior is None else self._prior.class_images

    def texts(self, images: Sequence[TrainingImage]) -> Iterator[str]:
        """Every text that rows of these images may have, where neither shuffling nor tag dropout makes new ones."""
        table, preserved = self._settings.caption, bool(self._settings.preserved_share)
        if table.dropout or table.dropout_every or (preserved and self._settings.blank):
            yield ""
        for image in images:
            yield vary_caption(
                image.caption, "every visit", keep_tokens=table.keep_tokens, keep_separator=table.keep_separator
            )
        if not preserved:
            return
        if self._prior is None or self._settings.preserves_own:
            yield from (image.plain for image in images)
            yield from self._pool
        if self._prior is not None:
            for prompts in self._prior.prompts.values():
                yield from prompts

    def read(self, batch: Batch, epoch: int) -> MicroBatch:
        keys = [self._key(visit, epoch) for visit in batch.visits]
        x_0 = torch.stack([self._latent(visit, key) for visit, key in zip(batch.visits, keys, strict=True)])
        captions = [self._caption_of(v, k, epoch) for v, k in zip(batch.visits, keys, strict=True)]
        framings = [
            visit.image.framing(flipped=self._flipped(key)) for visit, key in zip(batch.visits, keys, strict=True)
        ]
        learned = replace(self._rows(batch.bucket, x_0, keys, captions, framings), mask=self._mask(batch, keys))
        preserved = self._preserved(batch, keys, learned)
        if self._settings.strength.any:
            learned, preserved = self._strengthened(learned, preserved, keys[0])
        return MicroBatch(batch.bucket, learned, preserved, key_number(*keys[0], "pass"))

    def _strengthened(
        self, learned: Rows, preserved: Rows | None, first: tuple[int | str, ...]
    ) -> tuple[Rows, Rows | None]:
        """The rows with their strengths, each a function of the row's seed, or one of the `first` row's key."""
        table = self._settings.strength

        def draw(*key: int | str) -> float:
            return table.least + (table.most - table.least) * key_number(*key, "strength") / 2**64

        def drawn(rows: Rows) -> tuple[float, ...]:
            if table.by_pass:
                return (draw(*first),) * len(rows.captions)
            return tuple(draw(seed) for seed in rows.seeds)

        if preserved is not None:
            fixed = (table.most,) * len(preserved.captions)
            preserved = replace(preserved, strengths=fixed if table.preserves_at_most else drawn(preserved))
        return replace(learned, strengths=drawn(learned)), preserved

    def _key(self, visit: Visit, epoch: int) -> tuple[int | str, ...]:
        return (self._settings.seed, epoch, visit.image.name, visit.visit)

    def _latent(self, visit: Visit, key: tuple[int | str, ...]) -> Tensor:
        return self._latents.read(visit.image, self._flipped(key), *key)

    def _flipped(self, key: tuple[int | str, ...]) -> bool:
        return self._settings.flip and bool(key_number(*key, "flip") & 1)

    def _mask(self, batch: Batch, keys: Sequence[tuple[int | str, ...]]) -> Tensor | None:
        if self._masks is None:
            return None
        masks = []
        for visit, key in zip(batch.visits, keys, strict=True):
            corner = choose_corner(visit.image, *key) if self._settings.random_crop else None
            masks.append(self._masks.read(visit.image, self._flipped(key), corner))
        return torch.stack(masks)

    def _caption_of(self, visit: Visit, key: tuple[int | str, ...], epoch: int) -> str:
        table = self._settings.caption
        if table.dropout_every and (epoch + 1) % table.dropout_every == 0:
            return ""
        return vary_caption(
            visit.image.caption,
            *key,
            shuffle=table.shuffle,
            keep_tokens=table.keep_tokens,
            keep_separator=table.keep_separator,
            dropout=table.dropout,
            tag_dropout=table.tag_dropout,
        )

    def _rows(
        self,
        bucket: Size,
        x_0: Tensor,
        keys: Sequence[tuple[int | str, ...]],
        captions: Sequence[str],
        framings: Sequence[Framing],
    ) -> Rows:
        generators = [key_generator(*key, "noise") for key in keys]
        sample_t = self._parametrisation.sample_t
        t = torch.tensor([sample_t(self._timesteps, generator, bucket) for generator in generators])
        noise = torch.stack([self._noise.draw(row, generator) for row, generator in zip(x_0, generators, strict=True)])
        extra = [self._noise.perturb(row, generator) for row, generator in zip(x_0, generators, strict=True)]
        perturbations = [each for each in extra if each is not None]
        return Rows(
            x_0,
            noise,
            t,
            tuple(captions),
            seeds=tuple(key_number(*key, "row") for key in keys),
            perturbation=torch.stack(perturbations) if perturbations else None,
            framings=tuple(framings),
        )

    def _preserved(self, batch: Batch, keys: Sequence[tuple[int | str, ...]], learned: Rows) -> Rows | None:
        count = count_preserved(self._settings.preserved_share, len(keys))
        if not count:
            return None
        # Batches are shuffled, so that the first rows are as good as any.
        if self._prior is None:
            return self._without_trigger(count, batch, keys, learned)
        if not self._settings.preserves_own:
            return self._drawn_by_base(batch, keys[:count])
        own = -(-count // 2)
        plain = self._without_trigger(own, batch, keys, learned)
        return plain if own == count else plain.joined(self._drawn_by_base(batch, keys[own:count]))

    def _drawn_by_base(self, batch: Batch, keys: Sequence[tuple[int | str, ...]]) -> Rows:
        assert self._prior is not None
        latents, prompts = self._prior.latents[batch.bucket], self._prior.prompts[batch.bucket]
        chosen = [key_number(*key, "prior") % len(prompts) for key in keys]
        own_keys = [(*key, "prior") for key in keys]
        framings = self._prior.framings.get(batch.bucket, (frame_whole(batch.bucket),) * len(prompts))
        texts = self._blanked([prompts[n] for n in chosen], keys)
        return self._rows(batch.bucket, latents[chosen], own_keys, texts, [framings[n] for n in chosen])

    def _without_trigger(self, count: int, batch: Batch, keys: Sequence[tuple[int | str, ...]], learned: Rows) -> Rows:
        """The first rows of `learned` with captions that lack the trigger."""
        keys, visits = keys[:count], batch.visits[:count]
        pool = () if self._prior is not None else self._pool
        captions = [
            choose_plain_caption(visit.image.plain, pool, *key) for visit, key in zip(visits, keys, strict=True)
        ]
        shuffled = [vary_caption(text, *key, "plain", shuffle=self._settings.caption.shuffle)
                    for text, key in zip(captions, keys, strict=True)]  # fmt: skip
        return Rows(
            learned.x_0[:count],
            learned.noise[:count],
            learned.t[:count],
            tuple(self._blanked(shuffled, keys)),
            seeds=tuple(key_number(*key, "plain row") for key in keys),
            perturbation=None if learned.perturbation is None else learned.perturbation[:count],
            framings=learned.framings[:count],
        )

    def _blanked(self, captions: Sequence[str], keys: Sequence[tuple[int | str, ...]]) -> list[str]:
        return [
            "" if leave_blank(self._settings.blank, *key) else text for text, key in zip(captions, keys, strict=True)
        ]
