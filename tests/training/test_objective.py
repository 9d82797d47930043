"""The loss against the same thing computed row by row, without a bank where strength is 0."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.text.options import PLAIN_TEXT
from lorasmith.diffusion.noise import key_generator
from lorasmith.diffusion.parametrisation import Flow
from lorasmith.recipe.recipe import Recipe
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.rows.source import MicroBatch, Rows
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.objective import Loss, Objective
from lorasmith.training.steps.passes import Passes, answer_together
from lorasmith.training.unpacking import unpack


def rows(count: int, seed: int, captions: tuple[str, ...]) -> Rows:
    generator = key_generator(seed)
    x_0, noise = (torch.randn((count, 4, 8, 8), generator=generator) for _ in range(2))
    return Rows(x_0, noise, torch.randint(0, 1000, (count,), generator=generator) / 1000, captions)


def bank_with_effect(base: Base) -> AdapterBank:
    generator = key_generator("factors")
    adapter = new_adapter(base, name="a", rank=2, alpha=2, text_encoder=True, generator=generator)
    bank = AdapterBank(base, [adapter], trainable=True)
    with torch.no_grad():
        for part in ("unet", "te"):
            for parameter in bank.factors(part):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return bank


def settings(**values: Any) -> RunSettings:
    return unpack(Recipe.model_validate({"epochs": 1, **values}))


def loss_of(objective: Objective, base: Base, bank: AdapterBank, batch: MicroBatch) -> Loss:
    return answer_together({0: objective.ask(batch)}, Passes(base, bank, Conditioner(base, PLAIN_TEXT)))[0]


@pytest.mark.parametrize("trains_text", [True, False])
@pytest.mark.parametrize("gamma", [0.0, 5.0])
@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_rows_one_by_one(family_folders: dict[str, Path], family: str, gamma: float, trains_text: bool) -> None:
    base = load_base(family_folders[family])
    bank = bank_with_effect(base)
    values = {"lr": {"text_encoder": 5e-5 * trains_text}, "loss": {"min_snr_gamma": gamma}, "preserve": {"weight": 0.7}}
    objective = Objective(base, settings(**values).loss)
    batch = MicroBatch((64, 64), rows(3, 1, ("zbk", "zbk, red hat", "")), rows(2, 2, ("red hat", "smile")))
    with bank.attached():
        loss = loss_of(objective, base, bank, batch)

    schedule = base.parametrisation

    def error(row: int, part: Rows, learned: bool) -> torch.Tensor:
        x_0, noise, t = part.x_0[row : row + 1], part.noise[row : row + 1], part.t[row : row + 1]
        x_t = schedule.noised(x_0, noise, t)
        frozen = base.encode([part.captions[row]])
        target = schedule.target(x_0, noise, t) if learned else base.denoise(x_t, t, frozen, (64, 64))
        with bank.attached():
            bank.set_strengths(torch.ones(1, 1))
            context = base.encode([part.captions[row]]) if trains_text else frozen
            output = base.denoise(x_t, t, context, (64, 64))
        snr = schedule.snr(t)[0]
        weight = snr.clamp(max=gamma) / snr if gamma else 1.0
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
    objective = Objective(tiny_base, settings().loss)
    batch = MicroBatch((64, 64), rows(2, 1, ("zbk", "hat")), rows(1, 1, ("hat",)))
    with bank.attached():
        loss = loss_of(objective, tiny_base, bank, batch)
    assert loss.preserved.item() < 1e-10
    assert loss.learned.item() > 0.1


def noisy_batch() -> MicroBatch:
    learned = rows(3, 1, ("zbk", "zbk, red hat", ""))
    mask = torch.zeros(3, 1, 8, 8)
    mask[:, :, :4] = 1
    return MicroBatch((64, 64), replace(learned, mask=mask, seeds=(1, 2, 3)), None, key=7)


def test_a_mask_hides_a_part_and_may_be_made_up_for(tiny_base: Base) -> None:
    bank = bank_with_effect(tiny_base)
    batch = noisy_batch()
    whole = MicroBatch(batch.bucket, replace(batch.learned, mask=None), None)
    with bank.attached(), torch.no_grad():
        hidden, made_up = (
            loss_of(
                Objective(tiny_base, settings(loss={"mask": "alpha", "mask_renormalise": again}).loss),
                tiny_base,
                bank,
                batch,
            ).learned
            for again in (False, True)
        )
        all_of_it = loss_of(Objective(tiny_base, settings().loss), tiny_base, bank, whole).learned
    torch.testing.assert_close(made_up, 2 * hidden)
    assert 0.3 * all_of_it < hidden < 0.7 * all_of_it


def test_huber_and_input_perturbation_reach_the_loss(tiny_base: Base) -> None:
    bank = bank_with_effect(tiny_base)
    batch = noisy_batch()
    extra = replace(batch.learned, perturbation=0.5 * torch.ones_like(batch.learned.noise), mask=None)
    plain = replace(batch, learned=replace(batch.learned, mask=None))
    with bank.attached(), torch.no_grad():
        square = loss_of(Objective(tiny_base, settings().loss), tiny_base, bank, plain)
        round_ = loss_of(Objective(tiny_base, settings(loss={"kind": "huber"}).loss), tiny_base, bank, plain)
        perturbed = loss_of(Objective(tiny_base, settings().loss), tiny_base, bank, replace(batch, learned=extra))
    assert 0 < round_.learned < square.learned
    assert perturbed.learned != square.learned
    torch.testing.assert_close(square.rows.mean(), square.learned)


def test_checkpointing_changes_nothing_but_memory(tiny_base: Base) -> None:
    gradients = []
    for again in (False, True):
        bank = bank_with_effect(tiny_base)
        table = {"network": 0.2, "rank": 0.3, "module": 0.2}
        objective = Objective(tiny_base, settings(checkpointing=again, dropout=table, rank_by_timestep=1).loss)
        with bank.attached():
            loss = loss_of(objective, tiny_base, bank, noisy_batch())
            bank.set_strengths(torch.zeros(1, 1))  # as another adapter's pass would leave it
            loss.total.backward()  # type: ignore[no-untyped-call]
        gradients.append([factor.grad for factor in bank.factors("unet")])
    assert not tiny_base.denoiser.is_gradient_checkpointing
    pairs = [(one, other) for one, other in zip(*gradients, strict=True) if one is not None and other is not None]
    assert len(pairs) > 10
    for one, other in pairs:
        torch.testing.assert_close(one, other)
    assert sum(float(one.abs().sum()) for one, _ in pairs) > 0


def test_a_mask_covers_all_frames(tiny_base: Base) -> None:
    """Latents (B, C, F, H, W) are masked in each frame as a picture's."""
    objective = Objective(tiny_base, settings(loss={"mask": "alpha"}).loss)
    output = torch.randn(3, 4, 2, 8, 8, generator=key_generator(0))
    mask = (torch.rand(3, 1, 8, 8, generator=key_generator(1)) > 0.5).float()
    framed = replace(noisy_batch().learned, mask=mask)
    losses = objective._row_losses(output, torch.zeros_like(output), framed)
    each = [objective._row_losses(output[:, :, f], torch.zeros(3, 4, 8, 8), framed) for f in range(2)]
    torch.testing.assert_close(losses, torch.stack(each).mean(dim=0))


def test_a_flow_s_loss_row_by_row(tiny_base: Base) -> None:
    """x_t = (1 - t) x_0 + t n, and n - x_0 is asked for, whatever the denoiser is."""
    base = replace(tiny_base, parametrisation=Flow(3.0))
    bank = bank_with_effect(base)
    batch = MicroBatch((64, 64), rows(3, 1, ("zbk", "zbk, red hat", "")), rows(1, 2, ("smile",)))
    with bank.attached(), torch.no_grad():
        loss = loss_of(Objective(base, settings(preserve={"kind": "images"}).loss), base, bank, batch)

    def error(part: Rows, row: int) -> torch.Tensor:
        x_0, noise, t = part.x_0[row : row + 1], part.noise[row : row + 1], float(part.t[row])
        with bank.attached(), torch.no_grad():
            bank.set_strengths(torch.ones(1, 1))
            context = base.encode([part.captions[row]])
            output = base.denoise((1 - t) * x_0 + t * noise, torch.tensor([t]), context, (64, 64))
        return (output - (noise - x_0)).square().mean()

    assert batch.preserved is not None
    torch.testing.assert_close(loss.learned, torch.stack([error(batch.learned, row) for row in range(3)]).mean())
    torch.testing.assert_close(loss.preserved, error(batch.preserved, 0))
