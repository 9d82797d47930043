"""FLUX.2-klein on every road: trained, resumed, swept, drawn, kept in fewer bits; a step against one by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch

from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, read_header
from lorasmith.bases.base import Base, load_base, open_base
from lorasmith.bases.families.klein import KLEIN
from lorasmith.bases.precision import Weights
from lorasmith.diffusion.noise import key_generator
from lorasmith.errors import AdapterError, RecipeError
from lorasmith.events import Note, StepDone
from lorasmith.recipe.recipe import Recipe, read_recipe
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.rows.source import MicroBatch, Rows, RowSource
from lorasmith.training.steps.passes import Passes, answer_together
from lorasmith.training.steps.trainer import Trainer
from lorasmith.training.unpacking import unpack
from tests.adapters.drawing import trained_adapter
from tests.families.klein_models import build_klein, load_pipeline
from tests.families.roads import (
    Run,
    build_project,
    check_checkpointing,
    check_company,
    check_interruption,
    check_sweep,
    run,
)
from tests.families.test_klein import LAYERS

SMALL = {
    "resolution": "64",
    "bucket.step": "32",
    "bucket.min": "32",
    "batch_size": "2",
    "target_steps": "4",
    "save_every": '"2 steps"',
    "rank": "4",
    "alpha": "4",
    "lr.unet": "1e-2",
    "schedule.warmup": "0",
}
"""The preset in four steps of small pictures, fast enough to show."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, klein_base: Base) -> Run:
    project = build_project(tmp_path_factory.mktemp("projects") / "zbk", klein_base.folder)
    done, events = run(project, klein_base, SMALL)
    assert not [event for event in events if isinstance(event, Note) and "distilled" in event.message]
    return Run(project, done, tuple(event.loss for event in events if isinstance(event, StepDone)))


def test_its_preset_trains_attention_and_feed_forward(trained: Run) -> None:
    adapter = load_adapter(trained.done.adapter)
    assert len(adapter.layers) == 12 + 2 * 2
    header = read_header(trained.done.adapter).metadata
    assert (header["ss_base_model_version"], header["modelspec.architecture"]) == (
        "flux2_klein_4b",
        "Flux.2-klein/lora",
    )


def test_an_interruption_does_not_show(trained: Run, klein_base: Base, tmp_path: Path) -> None:
    check_interruption(trained, klein_base, tmp_path / "p", SMALL)


def test_a_sweep_s_variant_is_the_run_alone(trained: Run, klein_base: Base, tmp_path: Path) -> None:
    check_sweep(trained, klein_base, tmp_path / "p", SMALL)


def test_checkpointing_changes_nothing(trained: Run, klein_base: Base, tmp_path: Path) -> None:
    check_checkpointing(trained, klein_base, tmp_path / "p", SMALL)


def test_a_picture_of_a_mixed_batch_is_the_picture_alone(trained: Run, klein_base: Base) -> None:
    check_company(trained, klein_base, "blue hair " * 12 + "<lora:zbk-step00000002:2>")


STATED: dict[Weights, float] = {"int8": 0.005, "fp8": 0.02}
"""How far a pass may be off, as a part of its size (docs/bases.md)."""


@pytest.mark.parametrize("weights", ["int8", "fp8"])
@torch.no_grad()
def test_fewer_bits_are_within_their_error(klein_base: Base, weights: Weights) -> None:
    small = open_base(str(klein_base.folder), "fp32", "drawing", weights=weights)
    x_t, t = torch.randn(2, 32, 4, 4, generator=key_generator(0)), torch.tensor([0.2, 0.8])
    want, got = (each.denoise(x_t, t, each.encode(["a girl", "blue hair"])) for each in (klein_base, small))
    error = float((got - want).norm() / want.norm())
    assert 0 < error < STATED[weights], error


def test_a_step_is_what_pen_and_paper_make_it(klein_base: Base) -> None:
    """x_t = (1 - t) x_0 + t n; diffusers' transformer with W + B A shall say n - x_0."""
    base, generator = klein_base, key_generator("factors")
    adapter = new_adapter(base, name="a", rank=2, alpha=2, text_encoder=False, generator=generator)
    bank = AdapterBank(base, [adapter], trainable=True)
    with torch.no_grad():
        for parameter in bank.factors("unet"):
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    own = {
        f"{base.targets[name].path}.weight": [
            factors.to_tensors()[f"lora_{side}.weight"].clone().requires_grad_() for side in ("up", "down")
        ]
        for name, factors in bank.adapter(0, "a", {}).layers.items()
    }
    x_0, noise = (torch.randn(2, 32, 4, 4, generator=generator) for _ in range(2))
    t, captions = torch.tensor([0.25, 0.875]), ("a girl, smile", "zbk" * 40)

    options: dict[str, Any] = {"betas": (0.9, 0.99), "weight_decay": 0.01}
    recipe = {"epochs": 1, "lr": {"unet": 1e-3, "text_encoder": 0.0}, "optimizer": {"name": "adamw", **options}}
    settings = unpack(Recipe.model_validate(recipe | {"schedule": {"name": "constant", "warmup": 0}}))
    trainer = Trainer(bank, 0, settings, cast(RowSource, None), 10)  # its rows are given
    with bank.attached():
        batch = MicroBatch((64, 64), Rows(x_0, noise, t, captions), None)
        passes = Passes(base, bank, Conditioner(base, settings.text))
        loss = answer_together({0: trainer.ask(batch)}, passes)[0]
        loss.total.backward()  # type: ignore[no-untyped-call]
        trainer.finish(float(loss.total.detach()))

    pipeline = load_pipeline(base.folder)
    weights = dict(pipeline.transformer.named_parameters())
    moment = t.view(2, 1, 1, 1)
    x_t = (1 - moment) * x_0 + moment * noise
    with torch.no_grad():
        texts, text_ids = pipeline.encode_prompt(list(captions), text_encoder_out_layers=LAYERS)
    packed, places = pipeline.prepare_latents(2, 8, 64, 64, x_t.dtype, x_t.device, None, x_t)
    output = torch.func.functional_call(
        pipeline.transformer,
        {path: weights[path] + up @ down for path, (up, down) in own.items()},
        (packed, texts, t, places, text_ids),
        {"return_dict": False},
    )[0]
    wanted = (pipeline._unpack_latents_with_ids(output, places, 4, 4) - (noise - x_0)).square().mean()
    torch.testing.assert_close(loss.total, wanted, rtol=1e-5, atol=1e-5)
    wanted.backward()
    factors = [each for pair in own.values() for each in pair]
    torch.nn.utils.clip_grad_norm_(factors, settings.optimizer.max_grad_norm)
    torch.optim.AdamW(factors, lr=1e-3, **options).step()
    for name, made in bank.adapter(0, "a", {}).layers.items():
        up, down = own[f"{base.targets[name].path}.weight"]
        torch.testing.assert_close(made.to_tensors()["lora_up.weight"], up.detach(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(made.to_tensors()["lora_down.weight"], down.detach(), rtol=1e-5, atol=1e-5)


def test_what_does_not_go_with_it_is_told(klein_base: Base, zimage_base: Base, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", klein_base.folder)
    with pytest.raises(RecipeError, match=r"loss.min_snr_gamma is for bases that predict noise or v"):
        read_recipe(project, SMALL | {"loss.min_snr_gamma": "5"})
    with pytest.raises(AdapterError, match=r"fits nothing on .*this base is tiny \(klein\)"):
        AdapterBank(klein_base, [trained_adapter(zimage_base, text_encoder=False)])
    deep = trained_adapter(load_base(build_klein(tmp_path / "deep", num_layers=2)), text_encoder=False)
    with pytest.raises(AdapterError, match=r"12 of its 28 layers are not on tiny: lora_unet_transformer_blocks_1_"):
        AdapterBank(klein_base, [deep])
    distilled = load_base(build_klein(tmp_path / "four", distilled=True))
    _, events = run(build_project(tmp_path / "q", distilled.folder), distilled, SMALL | {"target_steps": "1"})
    assert distilled.structure is not None
    assert KLEIN.cautions(distilled.structure)[0] in [event.message for event in events if isinstance(event, Note)]
