"""A family from outside in training: twenty steps, every algorithm that fits, all that a recipe may ask."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import load_adapter, read_header
from lorasmith.bases.base import Base
from lorasmith.events import SampleDrawn, StepDone, Validated, finish
from lorasmith.exam.run import run_exam
from lorasmith.face.stages import plan_training
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.recipe.recipe import read_recipe
from lorasmith.recipe.sweep import read_sweep
from lorasmith.training.loop import train, train_sweep
from tests.families.roads import SHORT, Run, apart, build_project, command, draw, run, told
from tests.tags.models import make_tagger


def test_it_learns_and_its_file_says_what_it_is(trained: Run, base: Base, capsys: pytest.CaptureFixture[str]) -> None:
    losses = trained.losses
    assert len(losses) == 20
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    adapter = load_adapter(trained.done.adapter)
    assert {name.split("_")[1] for name in adapter.layers} == {"dit", "words"}
    assert len(adapter.layers) == 2 * 10 + 6
    header = read_header(trained.done.adapter).metadata
    assert header["ss_base_model_version"] == "reel"
    assert header["modelspec.architecture"] == "reel-v1/lora"
    assert header["modelspec.implementation"] == "https://reel.example"
    assert not {"modelspec.prediction_type", "modelspec.encoder_layer"} & header.keys()
    (shown,) = told(capsys, "adapter", "show", trained.done.adapter)["adapters"]
    assert shown["family"] == "reel"
    assert shown["layers"] == {"unet": 20, "text_encoder": 6}
    assert shown["hashes"]["ok"]
    command("adapter", "verify", trained.done.adapter)
    seen = told(capsys, "base", "show", base.folder)
    assert (seen["family"], seen["layers"]) == ("reel", {"unet": 22, "text_encoder": 6})
    assert seen["prediction"] == "flow"


def test_it_is_examined(trained: Run, base: Base) -> None:
    make_tagger(trained.project.root / "judge")
    verdict = finish(run_exam(trained.project, base=base))
    assert verdict.report.is_file()
    assert verdict.facts["identity"] == {"mostly_blue": "mostly_blue"}
    assert verdict.figures["hit_rate"].value > verdict.base["hit_rate"].value + 0.5


def test_an_interruption_does_not_show(trained: Run, base: Base, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", base.folder)
    work = train(project, read_recipe(project, {}), base=base)
    for event in work:
        if isinstance(event, StepDone) and event.step == 12:
            break
    work.close()
    done, _ = run(project, base, {}, resume=True)
    one, two = load_adapter(trained.done.adapter), load_adapter(done.adapter)
    for layer, factors in one.layers.items():
        for suffix, tensor in factors.to_tensors().items():
            assert torch.equal(two.layers[layer].to_tensors()[suffix], tensor), (layer, suffix)


@pytest.mark.parametrize("algorithm", ["lokr", "ia3", "loha", "dora"])
def test_other_algorithms_are_trained_read_and_drawn(base: Base, tmp_path: Path, algorithm: str) -> None:
    project = build_project(tmp_path / "p", base.folder)
    chosen = {"dora": "true"} if algorithm == "dora" else {"algorithm": f'"{algorithm}"'}
    done, _ = run(project, base, SHORT | chosen)
    adapter = load_adapter(done.adapter)
    assert {factors.algorithm for factors in adapter.layers.values()} == {algorithm}
    assert len(AdapterBank(base, [adapter]).layers) == 26
    with_it, without = draw(
        Pipeline(base, AdapterCache([done.adapter])),
        PictureSpec(f"zbk <lora:{done.adapter.stem}:4>", seed=1, steps=2),
        PictureSpec("zbk", seed=1, steps=2),
    )
    assert apart(with_it, without) > 0


EVERYTHING = {
    "preserve.kind": '"both"',
    "preserve.pictures": "2",
    "preserve.steps": "2",
    "loss.mask": '"alpha"',
    "loss.mask_outside": "0.1",
    "loss.kind": '"huber"',
    "validation.share": "0.25",
    "validation.every": '"2 steps"',
    "sample.prompts": '["zbk, picture"]',
    "sample.steps": "2",
    "save_every": '"2 steps"',
    "dropout.rank": "0.1",
    "dropout.network": "0.1",
    "dropout.module": "0.1",
    "rank_by_timestep": "1",
    "blocks.lr": "{ B00 = 0.5 }",
    "blocks.rank": "{ B = 2 }",
    "lr.plus_ratio": "2",
    "average.kind": '"ema"',
    "flip": "true",
    "noise.ip_gamma": "0.1",
    "conv.rank": "2",
    "layers": '["attention", "time"]',
}


def test_all_that_a_recipe_may_ask(base: Base, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", base.folder)
    done, events = run(project, base, SHORT | EVERYTHING)
    assert len([event for event in events if isinstance(event, StepDone)]) == 3
    assert [event for event in events if isinstance(event, SampleDrawn)]
    ranks = {name: factors.rank for name, factors in load_adapter(done.adapter).layers.items()}
    assert {rank for name, rank in ranks.items() if name.startswith("lora_dit_")} == {2}
    assert {rank for name, rank in ranks.items() if name.startswith("lora_words_")} == {4}
    assert "lora_dit_blocks_1_modulation" in ranks
    assert [event for event in events if isinstance(event, Validated)]


def test_a_block_may_be_left_alone(base: Base, tmp_path: Path) -> None:
    done, _ = run(build_project(tmp_path / "p", base.folder), base, SHORT | {"blocks.lr": "{ B00 = 0 }"})
    adapter = load_adapter(done.adapter)
    assert len(adapter.layers) == 16
    assert not any("blocks_0" in name for name in adapter.layers)


def test_a_sweep_and_checkpointing_change_nothing(base: Base, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", base.folder, "[sweep]\nrank = [2, 4]\n")
    swept = finish(train_sweep(project, read_sweep(project, SHORT), base=base))
    assert not swept.failed
    own = load_adapter(swept.variants["rank4"]["adapter"])
    for more in ({}, {"checkpointing": "true"}):
        done, _ = run(project, base, SHORT | more)
        for layer, factors in load_adapter(done.adapter).layers.items():
            for suffix, tensor in factors.to_tensors().items():
                torch.testing.assert_close(own.layers[layer].to_tensors()[suffix], tensor, rtol=2e-2, atol=1e-4)


def test_it_is_rehearsed(base: Base, tmp_path: Path) -> None:
    planned = finish(plan_training(build_project(tmp_path / "p", base.folder), SHORT, rehearse=True))
    assert planned.time_from == "a rehearsal"
    assert planned.plan.seconds > 0
