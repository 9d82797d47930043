"""The loss on images that are held out: the same noise at the same timesteps every time, against the base's own.

Below 1 the adapter knows its subject better than the base; a ratio that rises again while the training loss falls
means that it begins to learn its pictures by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.diffusion.noise import key_generator
from lorasmith.diffusion.timesteps import TIMESTEPS
from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.inputs.latents import LatentCache
from lorasmith.training.rows.source import MicroBatch, Rows
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.passes import Asking, Pass

#: Timesteps at which they are measured: one in each band.
VALIDATED = (100, 350, 600, 850)


@dataclass(frozen=True)
class HeldOutLoss:
    """The mean over all images and timesteps, and by timestep over all images."""

    mean: float
    by_timestep: Mapping[int, float]


class Validation:
    """Asks for the losses of held-out images; plain means of squared errors, whatever the recipe's loss is."""

    def __init__(
        self, base: Base, settings: RunSettings, images: Sequence[TrainingImage], latents: LatentCache
    ) -> None:
        self._base = base
        self._trains_text = settings.loss.trains_text
        self._batches = [_rows(image, latents.read(image), settings.seed) for image in images]
        self._base_loss: HeldOutLoss | None = None

    def ask(self) -> Asking[tuple[HeldOutLoss, HeldOutLoss]]:
        """The adapter's loss and the base's."""
        if self._base_loss is None:
            self._base_loss = yield from self._mean(adapted=False)
        return (yield from self._mean(adapted=True)), self._base_loss

    def _mean(self, *, adapted: bool) -> Asking[HeldOutLoss]:
        losses: list[Tensor] = []
        rowwise: list[Tensor] = []
        parametrisation = self._base.parametrisation
        for batch in self._batches:
            rows = batch.learned
            x_t = parametrisation.noised(rows.x_0, rows.noise, rows.t).to(self._base.device, self._base.dtype)
            target = parametrisation.target(rows.x_0, rows.noise, rows.t).to(self._base.device)
            output = yield Pass(
                x_t,
                rows.t,
                rows.captions,
                batch.bucket,
                adapted=adapted,
                adapted_text=self._trains_text,
                framings=rows.framings,
            )
            errors = (output.detach() - target).square()
            losses.append(errors.mean())
            rowwise.append(errors.flatten(1).mean(1))
        by_timestep = torch.stack(rowwise).mean(0).tolist()
        return HeldOutLoss(float(torch.stack(losses).mean()), dict(zip(VALIDATED, by_timestep, strict=True)))


def _rows(image: TrainingImage, x_0: Tensor, seed: int) -> MicroBatch:
    """One image at all timesteps."""
    noise = [
        torch.randn(tuple(x_0.shape), generator=key_generator(seed, "validation", image.name, t)) for t in VALIDATED
    ]
    count = len(VALIDATED)
    rows = Rows(
        x_0.expand(count, *x_0.shape),
        torch.stack(noise),
        torch.tensor(VALIDATED) / TIMESTEPS,
        (image.caption,) * count,
        framings=(image.framing(),) * count,
    )
    return MicroBatch(image.bucket, rows, None)
