"""Z-Image on every road: trained, resumed, swept, drawn, kept in fewer bits; a step against one written by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors import safe_open

from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.files import load_adapter, read_header, save_adapter
from lorasmith.bases.base import Base, load_base, open_base
from lorasmith.bases.families.zimage import ZIMAGE
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
from tests.families.anima_models import build_anima
from tests.families.roads import (
    Run,
    build_project,
    check_checkpointing,
    check_company,
    check_interruption,
    check_sweep,
    command,
    run,
    tensors,
)
from tests.families.test_zimage_file import write_files
from tests.families.zimage_models import build_zimage, load_pipeline

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
def folder(zimage_folder: Path) -> Path:
    return zimage_folder


@pytest.fixture(scope="module")
def base(zimage_base: Base) -> Base:
    return zimage_base


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Base) -> Run:
    project = build_project(tmp_path_factory.mktemp("projects") / "zbk", base.folder)
    done, events = run(project, base, SMALL)
    assert not [event for event in events if isinstance(event, Note) and "Turbo" in event.message]
    return Run(project, done, tuple(event.loss for event in events if isinstance(event, StepDone)))


def test_its_preset_trains_attention_and_feed_forward(trained: Run) -> None:
    assert len(trained.losses) == 4
    adapter = load_adapter(trained.done.adapter)
    assert len(adapter.layers) == 2 * 7
    assert all(name.startswith("lora_unet_layers_") for name in adapter.layers)
    header = read_header(trained.done.adapter).metadata
    with safe_open(trained.done.adapter, "pt") as written:
        keys = list(written.keys())
    # ComfyUI does not read kohya's names of it, diffusers reads both.
    assert all(key.startswith("diffusion_model.layers.") for key in keys)
    assert (header["ss_base_model_version"], header["modelspec.architecture"]) == ("zimage", "Z-Image/lora")


def test_diffusers_takes_the_file_as_it_is(trained: Run, base: Base) -> None:
    pipeline = load_pipeline(base.folder)
    pipeline.load_lora_weights(str(trained.done.adapter))
    x_t, t, context = torch.randn(1, 16, 8, 8, generator=key_generator(0)), torch.tensor([0.4]), base.encode(["zbk"])
    assert context.mask is not None
    bank = AdapterBank(base, [load_adapter(trained.done.adapter)])
    with torch.no_grad(), bank.attached():
        bank.set_strengths(torch.ones(1, 1))
        ours = base.denoise(x_t, t, context)
        own = [context.hidden[0][context.mask[0]]]
        theirs = pipeline.transformer([x_t[0].unsqueeze(1)], 1 - t, own, return_dict=False)[0]
    torch.testing.assert_close(ours, -theirs[0].squeeze(1).unsqueeze(0), rtol=2e-3, atol=2e-3)


def test_the_refiners_are_trained_where_they_are_asked_for(base: Base, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", base.folder)
    done, _ = run(project, base, SMALL | {"layers": '["attention", "mlp", "refiners"]', "target_steps": "1"})
    assert len(load_adapter(done.adapter).layers) == 4 * 7


def test_an_interruption_does_not_show(trained: Run, base: Base, tmp_path: Path) -> None:
    check_interruption(trained, base, tmp_path / "p", SMALL)


def test_a_sweep_s_variant_is_the_run_alone(trained: Run, base: Base, tmp_path: Path) -> None:
    check_sweep(trained, base, tmp_path / "p", SMALL)


def test_checkpointing_changes_nothing(trained: Run, base: Base, tmp_path: Path) -> None:
    check_checkpointing(trained, base, tmp_path / "p", SMALL)


def test_a_picture_of_a_mixed_batch_is_the_picture_alone(trained: Run, base: Base) -> None:
    check_company(trained, base, "blue hair " * 12 + "<lora:zbk-step00000002:2>")


STATED: dict[Weights, float] = {"int8": 0.02, "fp8": 0.08}
"""How far a pass may be off, as a part of its size (docs/bases.md)."""


@pytest.mark.parametrize("weights", ["int8", "fp8"])
@torch.no_grad()
def test_fewer_bits_are_within_their_error(base: Base, folder: Path, weights: Weights) -> None:
    small = open_base(str(folder), "fp32", "drawing", weights=weights)
    x_t, t = torch.randn(2, 16, 8, 8, generator=key_generator(0)), torch.tensor([0.2, 0.8])
    want, got = (each.denoise(x_t, t, each.encode(["a girl", "blue hair"])) for each in (base, small))
    error = float((got - want).norm() / want.norm())
    assert 0 < error < STATED[weights]


def test_a_step_is_what_pen_and_paper_make_it(base: Base, folder: Path) -> None:
    """x_t = (1 - t) x_0 + t n; diffusers' transformer with W + B A, told 1 - t, shall say x_0 - n."""
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
    x_0, noise = (torch.randn(2, 16, 8, 8, generator=generator) for _ in range(2))
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

    pipeline = load_pipeline(folder)
    weights = dict(pipeline.transformer.named_parameters())
    moment = t.view(2, 1, 1, 1)
    x_t = (1 - moment) * x_0 + moment * noise
    with torch.no_grad():
        texts, _ = pipeline.encode_prompt(list(captions), do_classifier_free_guidance=False)
    output = torch.func.functional_call(
        pipeline.transformer,
        {path: weights[path] + up @ down for path, (up, down) in own.items()},
        (list(x_t.unsqueeze(2).unbind()), 1 - t, texts),
        {"return_dict": False},
    )[0]
    wanted = (torch.stack(output).squeeze(2) - (x_0 - noise)).square().mean()
    torch.testing.assert_close(loss.total, wanted, rtol=1e-5, atol=1e-5)
    wanted.backward()  # type: ignore[no-untyped-call]
    factors = [each for pair in own.values() for each in pair]
    torch.nn.utils.clip_grad_norm_(factors, settings.optimizer.max_grad_norm)
    torch.optim.AdamW(factors, lr=1e-3, **options).step()
    for name, made in bank.adapter(0, "a", {}).layers.items():
        up, down = own[f"{base.targets[name].path}.weight"]
        torch.testing.assert_close(made.to_tensors()["lora_up.weight"], up.detach(), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(made.to_tensors()["lora_down.weight"], down.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("algorithm", '"loha"'),
        ("algorithm", '"lokr"'),
        ("algorithm", '"ia3"'),
        ("dora", "true"),
        ("rank_by_timestep", "2"),
    ],
)
def test_other_algorithms_learn_on_it(base: Base, tmp_path: Path, key: str, value: str) -> None:
    project = build_project(tmp_path / "p", base.folder)
    done, events = run(project, base, SMALL | {key: value, "target_steps": "2"})
    assert all(event.loss > 0 for event in events if isinstance(event, StepDone))
    assert AdapterBank(base, [load_adapter(done.adapter)])


def test_what_is_for_tables_of_noise_is_refused(base: Base, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", base.folder)
    with pytest.raises(RecipeError, match=r"loss.min_snr_gamma is for bases that predict noise or v"):
        read_recipe(project, SMALL | {"loss.min_snr_gamma": "5"})


def test_adapters_of_others_are_refused(base: Base, family_folders: dict[str, Path], tmp_path: Path) -> None:
    theirs = trained_adapter(load_base(family_folders["sdxl"]))
    with pytest.raises(AdapterError, match=r"fits nothing on .*this base is tiny \(zimage\)"):
        AdapterBank(base, [theirs])
    anima = trained_adapter(load_base(build_anima(tmp_path / "anima")), text_encoder=False)
    file = save_adapter(tmp_path / "a.safetensors", anima, torch.float32)
    with pytest.raises(AdapterError, match=r"fits nothing on .*made for anima; this base is tiny \(zimage\)"):
        AdapterBank(base, [load_adapter(file)])
    deep = trained_adapter(load_base(build_zimage(tmp_path / "deep", n_layers=3)), text_encoder=False)
    with pytest.raises(AdapterError, match=r"7 of its 21 layers are not on tiny: lora_unet_layers_2_attention_to_q"):
        AdapterBank(base, [deep])
    wide = trained_adapter(load_base(build_zimage(tmp_path / "wide", n_heads=3, dim=48)), text_encoder=False)
    with pytest.raises(AdapterError, match=r"is made for 48 x 48, the layer has 32 x 32"):
        AdapterBank(base, [wide])


def test_turbo_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turbo = load_base(build_zimage(tmp_path / "Z-Image-Turbo", shift=3.0))
    project = build_project(tmp_path / "p", turbo.folder)
    _, events = run(project, turbo, SMALL | {"target_steps": "1"})
    (warning,) = [event for event in events if isinstance(event, Note) and "Turbo" in event.message]
    assert (warning.level, warning.message) == ("warning", ZIMAGE.cautions(turbo.structure)[0])  # type: ignore[arg-type]
    settings = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    command("plan", project.root, "--no-rehearse", *settings)
    assert "draws in eight steps" in " ".join(capsys.readouterr().err.split())


def test_the_training_adapter_of_turbo_acts_while_it_learns_or_is_merged_in_first(tmp_path: Path, base: Base) -> None:
    """The way of ai-toolkit and musubi-tuner: what is learnt over Turbo and the adapter acts on Turbo without it."""
    file = write_files(base.folder, tmp_path).rename(tmp_path / "z_image_turbo.safetensors")
    assert load_base(file).cautions
    helper = trained_adapter(base, rank=2, alpha=2.0, text_encoder=False)
    (tmp_path / "adapters").mkdir()
    saved = save_adapter(tmp_path / "adapters" / "helper.safetensors", helper, torch.float32)
    command("adapter", "merge", saved, "--into", file, "--out", tmp_path / "z_image_de_turbo.safetensors")
    over = load_base(tmp_path / "z_image_de_turbo.safetensors")
    assert not over.cautions
    turbo = load_base(file)
    before = {name: value.clone() for name, value in turbo.denoiser.state_dict().items()}
    learnt = []
    for kind, more in {"lora": {}, "lokr": {"checkpointing": "true", "algorithm": '"lokr"'}}.items():
        settings = SMALL | more
        done, events = run(build_project(tmp_path / f"{kind} merged", over.folder), over, settings)
        merged = [event.loss for event in events if isinstance(event, StepDone)]
        settings |= {"training_adapter": f'"{saved}"'}
        beside, events = run(build_project(tmp_path / kind, file), turbo, settings)
        assert not [event for event in events if isinstance(event, Note) and "Turbo" in event.message]
        assert [event.loss for event in events if isinstance(event, StepDone)] == pytest.approx(merged, rel=1e-4)
        ours, theirs = (load_adapter(each.adapter) for each in (beside, done))
        for key, tensor in tensors(theirs).items():
            torch.testing.assert_close(tensors(ours)[key], tensor, rtol=2e-2, atol=1e-4)
        learnt.append(ours)
    assert all(torch.equal(value, before[name]) for name, value in turbo.denoiser.state_dict().items())
    both, alone = AdapterBank(turbo, [helper, learnt[0]]), AdapterBank(over, [learnt[0]])
    x_t, t = torch.randn(1, 16, 8, 8, generator=key_generator(0)), torch.tensor([0.5])
    found = []
    for bank, count in ((both, 2), (alone, 1)):
        with torch.no_grad(), bank.attached():
            bank.set_strengths(torch.ones(1, count))
            found.append(bank.base.denoise(x_t, t, bank.base.encode(["zbk"])))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-4)


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
    assert plan["preset"]["family"] == "zimage"
    assert plan["preset"]["reasons"] == list(ZIMAGE.presets["*"].reasons)
