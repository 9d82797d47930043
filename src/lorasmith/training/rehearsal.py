"""A rehearsal: a few real steps of a recipe on noise, to see how long steps take here. Nothing of it is kept."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.diffusion.noise import key_generator
from lorasmith.events import finish
from lorasmith.recipe.plan import Plan
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.inputs.preservation import PriorPictures
from lorasmith.training.rows.batches import Batch, Visit
from lorasmith.training.rows.source import RowSource
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.memory import kept_blocks
from lorasmith.training.steps.start import read_training_adapter, start_adapter
from lorasmith.training.steps.trainer_group import StepBatches, TrainerGroup

_CAPTION = "a picture"
_MOST_STEPS = 25


class _Noise:
    """Latents of noise (C, H, W)."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def read(
        self,
        image: TrainingImage,
        flipped: bool = False,  # noqa: ARG002 - noise is noise
        *key: int | str,  # noqa: ARG002
    ) -> Tensor:
        return noise_latents(self._base, 1, image.bucket, image.name)[0]


def noise_latents(base: Base, count: int, size: tuple[int, int], *key: int | str) -> Tensor:
    """(count, C, ..., H, W) for pictures of (width, height)."""
    return torch.randn(count, *base.latent_shape(size), generator=key_generator("rehearsal", *key))


def rehearse(
    settings: RunSettings,
    plan: Plan,
    base: Base,
    root: Path,
    *,
    seconds: float = 4.0,
    most_seconds: float = 10.0,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds per unit of work (`estimates.work_per_step`) of the run's own steps: the mean of at least two steps,
    for a run takes its slow ones too, more until about `seconds` are spent, none once `most_seconds` are. Raises
    torch's error when memory does not suffice."""
    bucket = Counter({each.size: each.batches for each in plan.buckets}).most_common(1)[0][0]
    images = [TrainingImage(**vars(image), sha256="", caption=_CAPTION) for image in plan.images]
    visits = [Visit(image, 0) for image in images if image.bucket == bucket]
    visits = [visits[place % len(visits)] for place in range(settings.batch_size)]
    preserve = settings.inputs.preserve
    preserves = preserve.draws or preserve.folder is not None
    prior = PriorPictures({bucket: noise_latents(base, 1, bucket)}, {bucket: (_CAPTION,)}) if preserves else None
    rows = RowSource(settings.rows, _Noise(base), base.parametrisation, prior=prior)
    conditioner = Conditioner(base, settings.text, alone=settings.texts.frozen)
    if settings.texts.cached:
        finish(conditioner.cache(list(rows.texts(images))))
    base.place_denoiser()
    start, beneath = start_adapter(base, settings, root), read_training_adapter(base, settings.network.beneath, root)
    group = TrainerGroup(base, [start], [settings], [rows], [plan.steps], conditioner, beneath=beneath)
    batches = StepBatches([Batch(bucket, tuple(visits))], 0)
    spent: list[float] = []
    with kept_blocks():  # as in a run
        while sum(spent) < most_seconds and (len(spent) < 3 or (sum(spent) < seconds and len(spent) < _MOST_STEPS)):
            begun = clock()
            group.advance({0: batches})
            spent.append(clock() - begun)
    # The first step also makes what later ones find.
    return statistics.fmean(spent[1:] or spent) / settings.work(settings.batch_size, bucket[0] * bucket[1])
