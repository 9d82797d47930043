"""The loss of a micro-batch: denoising for the rows to learn, and what keeps the base as it was for the others.

Loss of a row: the mean over (C, ..., H, W) of the element losses in float32 (times the mask), times its timestep's
weight; then the mean over rows (as kohya, so that small batches weigh each image more).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lorasmith.adapters.dropout import Dropout
from lorasmith.bases.base import Base
from lorasmith.diffusion.timesteps import TIMESTEPS, whole_timesteps
from lorasmith.diffusion.transfer import send
from lorasmith.training.rows.source import MicroBatch, Rows
from lorasmith.training.settings import LossSettings
from lorasmith.training.steps.passes import Asking, Pass


@dataclass(frozen=True)
class Loss:
    """`learned` and `preserved` (0 without such rows) for people, `total` for the backward pass; all ().

    `rows` (B,): the loss of each row to learn, unweighted by its timestep, detached.
    """

    learned: Tensor
    preserved: Tensor
    total: Tensor
    rows: Tensor


class Objective:
    """Computes losses of one adapter (what a base cannot learn from is refused before, `recipe.prediction`)."""

    def __init__(self, base: Base, settings: LossSettings) -> None:
        self._base = base
        self._settings = settings
        self._measure, self._weights = settings.measure, settings.weights
        # NOTE: weights and huber's c are those of the parametrisation as it was, which never reaches an SNR of 0.
        self._own = base.parametrisation
        self._taught = self._own.to_zero_terminal() if settings.zero_terminal_snr else self._own

    @cached_property
    def most_weight(self) -> float:
        """The largest factor that timesteps and what is preserved put on a row's loss, at least 1."""
        t = torch.arange(1, TIMESTEPS) / TIMESTEPS
        weights = self._weights.at(self._own, t)
        largest = 1.0 if weights is None else max(1.0, float(weights.max()))
        return largest * (1 + self._settings.preserve_weight)

    def ask(self, batch: MicroBatch) -> Asking[Loss]:
        """The loss, as a generator that asks for the passes it needs (passes.py runs it, alone or beside others)."""
        learned, kept = batch.learned, batch.preserved
        x_t, t, captions, seeds = self._noisy(learned), learned.t, learned.captions, learned.seeds
        framings, strengths = learned.framings, learned.strengths
        if kept is not None:
            kept_x_t = self._noisy(kept)
            if self._settings.preserves_base:
                kept_target = yield Pass(
                    kept_x_t, kept.t, kept.captions, batch.bucket, adapted=False, framings=kept.framings
                )
            else:
                kept_target = self._target(kept)
            x_t, t = torch.cat([x_t, kept_x_t]), torch.cat([t, kept.t])
            captions, seeds = captions + kept.captions, seeds + kept.seeds
            framings, strengths = framings + kept.framings, strengths + kept.strengths
        output = yield Pass(
            x_t,
            t,
            captions,
            batch.bucket,
            adapted_text=self._settings.trains_text,
            dropout=self._draw_dropout(t, seeds, batch.key),
            checkpointing=self._settings.checkpointing,
            framings=framings,
            strengths=strengths,
        )
        rows = len(learned.captions)
        each = self._row_losses(output[:rows], self._target(learned), learned)
        learned_loss = _mean(self._weighted(each, learned.t), learned.of)
        if kept is None:
            return Loss(learned_loss, torch.zeros(()), learned_loss, each.detach())
        kept_losses = self._row_losses(output[rows:], kept_target, kept)
        kept_loss = _mean(self._weighted(kept_losses, kept.t), kept.of)
        return Loss(learned_loss, kept_loss, learned_loss + self._settings.preserve_weight * kept_loss, each.detach())

    def _noisy(self, rows: Rows) -> Tensor:
        noise = rows.noise if rows.perturbation is None else rows.noise + rows.perturbation
        return self._send(self._taught.noised(rows.x_0, noise, rows.t)).to(self._base.dtype)

    def _target(self, rows: Rows) -> Tensor:
        return self._send(self._taught.target(rows.x_0, rows.noise, rows.t))

    def _row_losses(self, output: Tensor, target: Tensor, rows: Rows) -> Tensor:
        """(B,); with a mask the mean over all elements, as kohya, or over what the mask shows."""
        elements = self._measure(output - target, self._own, rows.t)
        if rows.mask is None:
            return elements.flatten(1).mean(dim=1)
        mask = self._send(rows.mask).view(len(rows.mask), *[1] * (elements.dim() - 3), *rows.mask.shape[-2:])
        losses = (elements * mask).flatten(1).mean(dim=1)
        return losses / mask.flatten(1).mean(dim=1).clamp(min=1e-4) if self._settings.renormalises else losses

    def _weighted(self, losses: Tensor, t: Tensor) -> Tensor:
        weights = self._weights.at(self._own, t)
        return losses if weights is None else losses * self._send(weights)

    def _draw_dropout(self, t: Tensor, seeds: tuple[int, ...], key: int) -> Dropout | None:
        dropout = self._settings.dropout
        if not dropout.any:
            return None
        return Dropout(
            whole_timesteps(t),
            seeds,
            key,
            network=dropout.network,
            rank=dropout.rank,
            module=dropout.module,
            least=dropout.least_rank,
        )

    def _send(self, tensor: Tensor) -> Tensor:
        return send(tensor, self._base.device)


def _mean(losses: Tensor, rows: int | None) -> Tensor:
    """Mean over rows; of a part of a micro-batch, its share of the mean over all its `rows`."""
    return losses.mean() if rows is None else losses.sum() / rows
