"""The loss against the same thing computed row by row, without a bank where strength is 0."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base, load_base
from lorasmith.diffusion.noise import key_generator
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.objective import Objective
from lorasmith.training.rows import MicroBatch, Rows


def rows(count: int, seed: int, captions: tuple[str, ...]) -> Rows:
    generator = key_generator(seed)
    x_0, noise = (torch.randn((count, 4, 8, 8), generator=generator) for _ in range(2))
    return Rows(x_0, noise, torch.randint(0, 1000, (count,), generator=generator), captions)


def bank_with_effect(base: Base) -> AdapterBank:
    generator = key_generator("factors")
    adapter = new_adapter(base, name="a", rank=2, alpha=2, text_encoder=True, generator=generator)
    bank = AdapterBank(base, [adapter], trainable=True)
    with torch.no_grad():
        for part in ("unet", "te"):
            for parameter in bank.factors(part):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return bank


@pytest.mark.parametrize("trains_text", [True, False])
@pytest.mark.parametrize("gamma", [0.0, 5.0])
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_rows_one_by_one(family_folders: dict[str, Path], family: str, gamma: float, trains_text: bool) -> None:
    base = load_base(family_folders[family])
    bank = bank_with_effect(base)
    objective = Objective(
        base,
        bank,
        Conditioner(base, clip_skip=1),
        trains_text=trains_text,
        min_snr_gamma=gamma,
        preserve_weight=0.7,
    )
    batch = MicroBatch((64, 64), rows(3, 1, ("zbk", "zbk, red hat", "")), rows(2, 2, ("red hat", "smile")))
    with bank.attached():
        loss = objective.loss(batch)

    schedule = base.noise_schedule

    def error(row: int, part: Rows, learned: bool) -> torch.Tensor:
        x_0, noise, t = part.x_0[row : row + 1], part.noise[row : row + 1], part.t[row : row + 1]
        x_t = schedule.add_noise(x_0, noise, t)
        ids = Conditioner(base, clip_skip=1).tokens([part.captions[row]])
        frozen = base.encode_tokens(ids)
        target = schedule.target(x_0, noise, t) if learned else base.denoise(x_t, t, frozen, (64, 64))
        with bank.attached():
            bank.weigh(torch.ones(1, 1))
            context = base.encode_tokens(ids) if trains_text else frozen
            output = base.denoise(x_t, t, context, (64, 64))
        weight = schedule.min_snr_weight(t, gamma)[0] if gamma else 1.0
        return weight * (output - target).square().mean()

    assert batch.preserved is not None
    learned = torch.stack([error(row, batch.learned, True) for row in range(3)]).mean()
    preserved = torch.stack([error(row, batch.preserved, False) for row in range(2)]).mean()
    torch.testing.assert_close(loss.learned, learned, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(loss.preserved, preserved, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(loss.total, learned + 0.7 * preserved, rtol=1e-4, atol=1e-6)
    assert preserved > 0


def test_an_adapter_without_effect_has_nothing_to_preserve(tiny_base: Base) -> None:
    adapter = new_adapter(tiny_base, name="a", rank=2, alpha=2, text_encoder=True, generator=key_generator(0))
    bank = AdapterBank(tiny_base, [adapter], trainable=True)
    objective = Objective(
        tiny_base, bank, Conditioner(tiny_base, 1), trains_text=True, min_snr_gamma=0, preserve_weight=1
    )
    with bank.attached():
        loss = objective.loss(MicroBatch((64, 64), rows(2, 1, ("zbk", "hat")), rows(1, 1, ("hat",))))
    assert loss.preserved.item() < 1e-10
    assert loss.learned.item() > 0.1
