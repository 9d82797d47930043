"""Anima on every road: trained, resumed, swept, drawn, kept in fewer bits; and its arithmetic against diffusers'."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, read_header
from lorasmith.bases.base import Base, open_base
from lorasmith.bases.families.anima import ANIMA
from lorasmith.bases.precision import Weights
from lorasmith.diffusion.noise import key_generator
from lorasmith.errors import RecipeError
from lorasmith.events import StepDone
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.recipe.recipe import Recipe, read_recipe
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.rows.source import MicroBatch, Rows, RowSource
from lorasmith.training.steps.passes import Passes, answer_together
from lorasmith.training.steps.trainer import Trainer
from lorasmith.training.unpacking import unpack
from tests.families.anima_models import load_pipeline
from tests.families.roads import (
    Run,
    build_project,
    check_company,
    check_interruption,
    check_sweep,
    draw,
    run,
)

SMALL = {
    "resolution": "64",
    "bucket.step": "32",
    "bucket.min": "32",
    "target_steps": "4",
    "save_every": '"2 steps"',
    "rank": "4",
    "alpha": "4",
    "lr.unet": "1e-2",
    "schedule.warmup": "0",
}
"""The preset in four steps of small pictures, fast enough to show."""


@pytest.fixture(scope="module")
def folder(anima_folder: Path) -> Path:
    return anima_folder


@pytest.fixture(scope="module")
def base(anima_base: Base) -> Base:
    return anima_base


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Base) -> Run:
    project = build_project(tmp_path_factory.mktemp("projects") / "zbk", base.folder)
    done, events = run(project, base, SMALL)
    return Run(project, done, tuple(event.loss for event in events if isinstance(event, StepDone)))


def test_its_preset_trains_attention_and_mlp(trained: Run) -> None:
    assert len(trained.losses) == 4
    adapter = load_adapter(trained.done.adapter)
    assert len(adapter.layers) == 2 * 10
    assert all(name.startswith("lora_unet_blocks_") for name in adapter.layers)
    header = read_header(trained.done.adapter).metadata
    assert (header["ss_base_model_version"], header["modelspec.architecture"]) == ("anima", "anima-preview/lora")


def test_an_interruption_does_not_show(trained: Run, base: Base, tmp_path: Path) -> None:
    check_interruption(trained, base, tmp_path / "p", SMALL)


def test_a_sweep_s_variant_is_the_run_alone(trained: Run, base: Base, tmp_path: Path) -> None:
    check_sweep(trained, base, tmp_path / "p", SMALL)


def test_a_picture_of_a_mixed_batch_is_the_picture_alone(trained: Run, base: Base) -> None:
    check_company(trained, base, "(blue hair:1.3) <lora:zbk-step00000002:2>")


STATED: dict[Weights, float] = {"int8": 0.02, "fp8": 0.08}
"""How far a pass may be off, as a part of its size (docs/bases.md)."""


@pytest.mark.parametrize("weights", ["int8", "fp8"])
@torch.no_grad()
def test_fewer_bits_are_within_their_error(base: Base, folder: Path, weights: Weights) -> None:
    small = open_base(str(folder), "fp32", "drawing", weights=weights)
    x_t, t = torch.randn(2, 16, 1, 8, 8, generator=key_generator(0)), torch.tensor([0.2, 0.8])
    want, got = (each.denoise(x_t, t, each.encode(["a girl", "blue hair"])) for each in (base, small))
    error = float((got - want).norm() / want.norm())
    assert 0 < error < STATED[weights]


def test_a_step_is_what_pen_and_paper_make_it(base: Base, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """x_t = (1 - t) x_0 + t n, of which diffusers' transformer with W + B A shall tell n - x_0; AdamW is torch's."""
    generator = key_generator("factors")
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
    x_0, noise = (torch.randn(2, 16, 1, 8, 8, generator=generator) for _ in range(2))
    t, captions = torch.tensor([0.25, 0.875]), ("a girl, smile", "zbk")

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

    theirs = load_pipeline(folder, monkeypatch).transformer
    weights = dict(theirs.named_parameters())
    moment = t.view(2, 1, 1, 1, 1)
    output = torch.func.functional_call(
        theirs,
        {path: weights[path] + up @ down for path, (up, down) in own.items()},
        kwargs={
            "hidden_states": (1 - moment) * x_0 + moment * noise,
            "timestep": t,
            "encoder_hidden_states": base.encode(list(captions)).hidden.detach(),
            "padding_mask": torch.zeros(1, 1, 64, 64),
            "return_dict": False,
        },
    )[0]
    wanted = (output - (noise - x_0)).square().mean()
    torch.testing.assert_close(loss.total, wanted, rtol=1e-5, atol=1e-5)
    wanted.backward()
    factors = [each for pair in own.values() for each in pair]
    torch.nn.utils.clip_grad_norm_(factors, settings.optimizer.max_grad_norm)
    torch.optim.AdamW(factors, lr=1e-3, **options).step()
    for name, made in bank.adapter(0, "a", {}).layers.items():
        up, down = own[f"{base.targets[name].path}.weight"]
        torch.testing.assert_close(made.to_tensors()["lora_up.weight"], up.detach(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(made.to_tensors()["lora_down.weight"], down.detach(), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_latents_are_those_of_diffusers(base: Base, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vae = load_pipeline(folder, monkeypatch).vae
    mean, std = (torch.tensor(each).view(1, 16, 1, 1, 1) for each in (vae.config.latents_mean, vae.config.latents_std))
    pixels = torch.rand(2, 3, 64, 96, generator=key_generator(0)) * 2 - 1
    z = base.encode_images(pixels)
    assert z.shape == (2, *base.latent_shape((96, 64))) == (2, 16, 1, 8, 12)
    torch.testing.assert_close(z, (vae.encode(pixels.unsqueeze(2)).latent_dist.mode() - mean) / std)
    torch.testing.assert_close(base.decode_latents(z), vae.decode(z * std + mean).sample[:, :, 0])


def test_a_picture_is_that_of_diffusers(base: Base, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four Euler steps from the same noise: "simple" is how diffusers spaces a flow's times."""
    drawn: list[Tensor] = []
    decode = Base.decode_latents

    def decoding(self: Base, z: Tensor) -> Tensor:
        drawn.append(decode(self, z))
        return drawn[-1]

    monkeypatch.setattr(Base, "decode_latents", decoding)
    spec = PictureSpec(
        "a girl, smile", "blue hair", seed=7, steps=4, sampler="Euler", schedule="Simple", cfg=4.0, width=96, height=64
    )
    draw(Pipeline(base), spec)
    start = torch.randn(base.latent_shape((96, 64)), generator=torch.Generator().manual_seed(7))
    theirs: Any = load_pipeline(folder, monkeypatch)(
        prompt=spec.prompt,
        negative_prompt=spec.negative,
        latents=start.unsqueeze(0),
        num_inference_steps=4,
        width=96,
        height=64,
        output_type="pt",
        output="images",
    )
    torch.testing.assert_close((drawn[-1] / 2 + 0.5).clamp(0, 1), theirs, atol=1e-4, rtol=1e-4)


def test_what_is_for_tables_of_noise_is_refused(base: Base, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", base.folder)
    with pytest.raises(RecipeError, match=r"loss.min_snr_gamma is for bases that predict noise or v"):
        read_recipe(project, SMALL | {"loss.min_snr_gamma": "5"})


def test_it_is_told_and_planned_without_torch(tmp_path: Path, folder: Path) -> None:
    project = build_project(tmp_path / "p", folder)
    settings = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    code = (
        "import sys\n"
        "from lorasmith.cli.main import run\n"
        f"assert run(['plan', {str(project.root)!r}, '--no-rehearse', '--json', *{settings!r}]) == 0\n"
        "heavy = sorted(set(sys.modules) & {'torch', 'diffusers', 'transformers', 'onnxruntime'})\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    assert plan["steps"] == 4
    assert plan["preset"]["family"] == "anima"
    assert plan["preset"]["reasons"] == list(ANIMA.presets["*"].reasons)
