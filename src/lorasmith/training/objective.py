"""The loss of a micro-batch: denoising for the rows to learn, the base's own output for the rows to preserve.

Loss of a row: mean over (C, H, W) of the squared error in float32, times its min-SNR weight; then the mean over
rows (as kohya, so that small batches weigh each image more).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base, TextContext
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.rows import MicroBatch, Rows

_OFF = torch.zeros(1, 1)
_ON = torch.ones(1, 1)


@dataclass(frozen=True)
class Loss:
    """`learned` and `preserved` (0 without such rows) for people, `total` for the backward pass; all ()."""

    learned: Tensor
    preserved: Tensor
    total: Tensor


class Objective:
    """Computes losses of one adapter in a bank, which must be attached."""

    def __init__(
        self,
        base: Base,
        bank: AdapterBank,
        conditioner: Conditioner,
        *,
        trains_text: bool,
        min_snr_gamma: float,
        preserve_weight: float,
    ) -> None:
        self._base = base
        self._bank = bank
        self._conditioner = conditioner
        self._trains_text = trains_text
        self._gamma = min_snr_gamma
        self._preserve_weight = preserve_weight

    def loss(self, batch: MicroBatch) -> Loss:
        schedule, learned, kept = self._base.noise_schedule, batch.learned, batch.preserved
        x_t, t, captions = self._noisy(learned), learned.t, learned.captions
        target = self._send(schedule.target(learned.x_0, learned.noise, learned.t))
        weights = self._weights(t)
        if kept is not None:
            kept_x_t = self._noisy(kept)
            kept_target = self._base_output(kept_x_t, kept, batch.bucket)
            x_t, t = torch.cat([x_t, kept_x_t]), torch.cat([t, kept.t])
            captions = captions + kept.captions
        context = self._context(captions)
        self._bank.weigh(_ON)
        output = self._base.denoise(x_t, self._send(t), context, batch.bucket).float()
        rows = len(learned.captions)
        learned_loss = _mean_error(output[:rows], target, weights)
        if kept is None:
            return Loss(learned_loss, torch.zeros(()), learned_loss)
        kept_loss = _mean_error(output[rows:], kept_target, self._weights(kept.t))
        return Loss(learned_loss, kept_loss, learned_loss + self._preserve_weight * kept_loss)

    @torch.no_grad()
    def _base_output(self, x_t: Tensor, rows: Rows, size: tuple[int, int]) -> Tensor:
        context = self._conditioner.recall(rows.captions, self._switch_off)
        self._bank.weigh(_OFF)
        return self._base.denoise(x_t, self._send(rows.t), context, size).float()

    def _context(self, captions: Sequence[str]) -> TextContext:
        if not self._trains_text:
            return self._conditioner.recall(captions, self._switch_off)
        self._bank.weigh(_ON)
        return self._conditioner.encode(captions)

    def _switch_off(self) -> None:
        self._bank.weigh(_OFF)

    def _noisy(self, rows: Rows) -> Tensor:
        x_t = self._base.noise_schedule.add_noise(rows.x_0, rows.noise, rows.t)
        return self._send(x_t).to(self._base.dtype)

    def _weights(self, t: Tensor) -> Tensor | None:
        return self._send(self._base.noise_schedule.min_snr_weight(t, self._gamma)) if self._gamma else None

    def _send(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._base.device)


def _mean_error(output: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    errors = (output - target).square().flatten(1).mean(dim=1)
    return (errors if weights is None else errors * weights).mean()
