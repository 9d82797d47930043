"""The adapter's strength while it learns: drawn for each row or pass, the same again, for every algorithm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter
from lorasmith.bases.base import Base
from lorasmith.bases.text.options import PLAIN_TEXT
from lorasmith.diffusion.noise import key_generator
from lorasmith.events import StepDone, finish
from lorasmith.recipe.recipe import Recipe, read_recipe
from lorasmith.recipe.sweep import read_sweep
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.inputs.reading import read_inputs
from lorasmith.training.loop import train, train_sweep
from lorasmith.training.preparation import make_rows as make_source
from lorasmith.training.rows.batches import Batch, Visit
from lorasmith.training.rows.source import MicroBatch
from lorasmith.training.unpacking import unpack
from tests.projects import build_project
from tests.training.test_passes import losses, make_bank, make_recipe, make_rows
from tests.training.test_sweep import RECIPE, assert_close, sweep_project

CAPTIONS = ("zbk, red hat", "zbk", "", "smile")
STRENGTHS = (0.5, 1.0, 0.75, 0.6)
RANGE = {"strength.min": "0.5", "strength.max": "1.0"}


def read_rows(root: Path, folder: Path, base: Base, **more: str) -> MicroBatch:
    project = build_project(root, RECIPE, base=str(folder))
    kept = {"preserve.kind": '"differential"', "preserve.share": "1.0"}
    recipe = read_recipe(project, kept | {f"strength.{key}": value for key, value in more.items()})
    (inputs,) = finish(read_inputs(project, [recipe]))
    source = finish(make_source(project, unpack(recipe), inputs, base, Conditioner(base, PLAIN_TEXT)))
    batch = Batch(inputs.plan.images[0].bucket, tuple(Visit(inputs.images[0], visit) for visit in range(24)))
    return source.read(batch, 0)


def test_strengths_are_drawn_for_each_row(tmp_path: Path, tiny_base_folder: Path, tiny_base: Base) -> None:
    told = {"min": "0.5", "max": "1.25"}
    micro = read_rows(tmp_path / "a", tiny_base_folder, tiny_base, **told)
    again = read_rows(tmp_path / "b", tiny_base_folder, tiny_base, **told)
    assert micro.preserved is not None
    assert again.preserved is not None
    for rows, same in ((micro.learned, again.learned), (micro.preserved, again.preserved)):
        assert len(set(rows.strengths)) == 24
        assert all(0.5 <= strength <= 1.25 for strength in rows.strengths)
        assert min(rows.strengths) < 0.75 < 1 < max(rows.strengths)
        assert rows.strengths == same.strengths
    assert not set(micro.learned.strengths) & set(micro.preserved.strengths)
    part = micro.part(1, 3)
    assert part is not None
    assert part.learned.strengths == micro.learned.strengths[1::3]


def test_strengths_are_drawn_for_a_pass(tmp_path: Path, tiny_base_folder: Path, tiny_base: Base) -> None:
    micro = read_rows(tmp_path / "a", tiny_base_folder, tiny_base, min="0.5", per='"pass"')
    assert micro.preserved is not None
    (one,) = set(micro.learned.strengths)
    assert 0.5 <= one < 1
    assert micro.preserved.strengths == micro.learned.strengths
    above = read_rows(tmp_path / "b", tiny_base_folder, tiny_base, min="0.5", per='"pass"', preserved='"max"')
    assert above.preserved is not None
    assert above.learned.strengths == micro.learned.strengths
    assert set(above.preserved.strengths) == {1.0}


def test_without_a_range_no_row_has_a_strength(tmp_path: Path, tiny_base_folder: Path, tiny_base: Base) -> None:
    micro = read_rows(tmp_path / "a", tiny_base_folder, tiny_base)
    assert micro.preserved is not None
    assert micro.learned.strengths == micro.preserved.strengths == ()


def weak_bank(base: Base, algorithm: str) -> AdapterBank:
    """An adapter that acts, with or without magnitudes."""
    if algorithm != "dora":
        return make_bank(base, algorithm=algorithm)
    adapter = new_adapter(
        base, name="a", algorithm="lora", rank=2, alpha=2, text_encoder=True, generator=key_generator(1), dora=True
    )
    bank = AdapterBank(base, [adapter], trainable=True)
    with torch.no_grad():
        for part in ("unet", "te"):
            for number, parameter in enumerate(bank.factors(part)):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=key_generator(number, part)))
    return bank


@pytest.mark.parametrize("dropout", [{}, {"rank": 0.4}], ids=["whole", "with rank dropout"])
@pytest.mark.parametrize("algorithm", ["lora", "lokr", "loha", "dora", "ia3", "oft", "full"])
def test_a_row_learns_at_its_own_strength(tiny_base: Base, algorithm: str, dropout: dict[str, float]) -> None:
    """Four rows in one pass are as four passes of a row, each of which has one strength for all."""
    recipe = make_recipe(dropout=dropout, caption={"max_tokens": 150})
    bank = weak_bank(tiny_base, algorithm)
    rows = replace(make_rows(CAPTIONS), strengths=STRENGTHS)
    whole = MicroBatch((64, 64), rows, None, key=5)
    together = gradients(tiny_base, bank, recipe, [whole])
    parts = [part for number in range(4) if (part := whole.part(number, 4)) is not None]
    assert [part.learned.strengths for part in parts] == [(strength,) for strength in STRENGTHS]
    each = [gradients(tiny_base, bank, recipe, [part]) for part in parts]
    plain = gradients(tiny_base, bank, recipe, [MicroBatch((64, 64), make_rows(CAPTIONS), None, key=5)])
    moved = 0.0
    for got, unweighted, *single in zip(together, plain, *each, strict=True):
        torch.testing.assert_close(got, torch.stack(single).sum(0), rtol=1e-3, atol=1e-6)
        moved = max(moved, float((got - unweighted).abs().max()))
    assert moved > 1e-5, "strengths change nothing"


def gradients(base: Base, bank: AdapterBank, recipe: Recipe, batches: list[MicroBatch]) -> list[torch.Tensor]:
    total = losses(base, bank, recipe, batches)[0].total
    factors = [*bank.factors("unet"), *bank.factors("te")]
    found = torch.autograd.grad(total, factors, allow_unused=True)
    return [torch.zeros_like(f) if g is None else g for f, g in zip(factors, found, strict=True)]


@pytest.mark.parametrize("per", ["row", "pass"])
@pytest.mark.parametrize("keys", ['algorithm = "lokr"', 'algorithm = "loha"', "dora = true", "conv.rank = 2"])
def test_a_sweep_with_a_range_becomes_what_each_would_alone(
    tmp_path: Path, tiny_base_folder: Path, tiny_base: Base, keys: str, per: str
) -> None:
    recipe = RECIPE + f'preserve.kind = "differential"\nstrength = {{ min = 0.4, per = "{per}" }}\n{keys}\n'
    project = sweep_project(tmp_path / "p", tiny_base_folder, "rank = [2, 3]", recipe)
    done = finish(train_sweep(project, read_sweep(project), base=tiny_base))
    assert len(done.variants) == 2
    for variant in read_sweep(project):
        solo = finish(train(project, variant.recipe, base=tiny_base))
        assert_close(Path(done.variants[variant.name]["adapter"]), solo.adapter, tiny_base)


def test_an_interruption_does_not_show(tmp_path: Path, tiny_base_folder: Path, tiny_base: Base) -> None:
    project = build_project(tmp_path / "p", RECIPE, base=str(tiny_base_folder))
    recipe = read_recipe(project, RANGE)
    whole = finish(train(project, recipe, base=tiny_base))
    work = train(project, recipe, base=tiny_base)
    for event in work:
        if isinstance(event, StepDone) and event.step == 3:
            break
    work.close()
    resumed = finish(train(project, recipe, resume=True, base=tiny_base))
    assert resumed.run != whole.run
    plain = finish(train(project, read_recipe(project), base=tiny_base))
    first, second, other = (load_adapter(done.adapter) for done in (resumed, whole, plain))
    differs = False
    for layer, factors in first.layers.items():
        for field, tensor in factors.trained().items():
            assert torch.equal(tensor, second.layers[layer].trained()[field])
            differs |= not torch.equal(tensor, other.layers[layer].trained()[field])
    assert differs


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"min": 1.2}, "strength.min = 1.2 is above strength.max = 1"),
        ({"per": "pass"}, "need a range"),
        ({"preserved": "max"}, "need a range"),
    ],
)
def test_what_is_no_range_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate({"epochs": 1, "strength": values})
