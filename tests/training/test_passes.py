"""Rows of text encoders are chunks of captions: dropout and strengths know how many belong to a caption."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base
from lorasmith.diffusion.noise import key_generator
from lorasmith.recipe.recipe import Recipe
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.rows.source import MicroBatch, Rows
from lorasmith.training.steps.objective import Loss, Objective
from lorasmith.training.steps.passes import Passes, answer_together
from lorasmith.training.unpacking import unpack

CAPTIONS = ("red hat, " * 40, "zbk", "", "smile")
DROPOUTS = ({"network": 0.4}, {"rank": 0.4}, {"module": 0.4}, {"network": 0.3, "rank": 0.3, "module": 0.3})


def make_recipe(**values: Any) -> Recipe:
    return Recipe.model_validate({"epochs": 1, "lr": {"text_encoder": 1e-4}, **values})


def make_rows(captions: tuple[str, ...], seed: int = 1) -> Rows:
    generator = key_generator(seed)
    x_0, noise = (torch.randn((len(captions), 4, 8, 8), generator=generator) for _ in range(2))
    t = torch.randint(0, 1000, (len(captions),), generator=generator) / 1000
    return Rows(x_0, noise, t, captions, seeds=tuple(range(len(captions))))


def make_bank(base: Base, count: int = 1, algorithm: str = "lora") -> AdapterBank:
    adapters = [
        new_adapter(
            base, name=f"a{k}", algorithm=algorithm, rank=2 + k, alpha=2, text_encoder=True, generator=key_generator(k)
        )
        for k in range(count)
    ]
    bank = AdapterBank(base, adapters, trainable=True)
    with torch.no_grad():
        for part in ("unet", "te"):
            for number, parameter in enumerate(bank.factors(part)):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=key_generator(number, part)))
    return bank


def losses(base: Base, bank: AdapterBank, recipe: Recipe, batches: list[MicroBatch]) -> dict[int, Loss]:
    passes = Passes(base, bank, Conditioner(base, unpack(recipe).text))
    with bank.attached():
        return answer_together(
            {k: Objective(base, unpack(recipe).loss).ask(batch) for k, batch in enumerate(batches)}, passes
        )


def text_gradients(bank: AdapterBank, loss: Tensor) -> float:
    given = torch.autograd.grad(loss, bank.factors("te"), allow_unused=True)
    return sum(float(each.abs().sum()) for each in given if each is not None)


def check_repeats(base: Base, bank: AdapterBank, recipe: Recipe) -> None:
    batch = MicroBatch((64, 64), make_rows(CAPTIONS), None)
    loss = losses(base, bank, recipe, [batch])[0].total
    again = losses(base, bank, recipe, [batch])[0].total
    assert bool(loss.isfinite())
    assert torch.equal(loss, again)
    assert text_gradients(bank, loss) > 0


@pytest.mark.parametrize("dropout", DROPOUTS, ids=lambda each: "+".join(each))
@pytest.mark.parametrize("most", [75, 150, 225])
def test_every_length_goes_with_every_dropout(tiny_base: Base, most: int, dropout: dict[str, float]) -> None:
    check_repeats(tiny_base, make_bank(tiny_base), make_recipe(caption={"max_tokens": most}, dropout=dropout))


@pytest.mark.parametrize("dropout", DROPOUTS[:2], ids=lambda each: "+".join(each))
@pytest.mark.parametrize("algorithm", ["loha", "lokr", "ia3", "oft", "boft", "dylora", "glora", "full"])
def test_every_algorithm_reads_long_captions(tiny_base: Base, algorithm: str, dropout: dict[str, float]) -> None:
    recipe = make_recipe(caption={"max_tokens": 225}, dropout=dropout)
    check_repeats(tiny_base, make_bank(tiny_base, algorithm=algorithm), recipe)


@pytest.mark.parametrize("most", [75, 225])
def test_several_adapters_read_long_captions_together(tiny_base: Base, most: int) -> None:
    """A sweep's adapters have their rows in one batch: each reads its captions alone, as by itself."""
    recipe = make_recipe(caption={"max_tokens": most})
    bank = make_bank(tiny_base, 2)
    batches = [
        MicroBatch((64, 64), make_rows(CAPTIONS[:2], 1), None),
        MicroBatch((64, 64), make_rows(CAPTIONS[2:], 2), None),
    ]
    together = losses(tiny_base, bank, recipe, batches)
    for k, batch in enumerate(batches):
        alone_bank = AdapterBank(tiny_base, [bank.adapter(k, "a", {})], trainable=True)
        alone = losses(tiny_base, alone_bank, recipe, [batch])[0]
        torch.testing.assert_close(together[k].total, alone.total, rtol=1e-4, atol=1e-6)
