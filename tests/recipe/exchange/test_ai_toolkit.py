"""ai-toolkit's jobs: after its examples (config/examples) and its page's defaults (ui/src/app/jobs/new), both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lorasmith.cli.main import run
from lorasmith.errors import RecipeError
from lorasmith.recipe.exchange import OTHER_TRAINERS
from lorasmith.recipe.exchange.ai_toolkit.reading import from_job
from lorasmith.recipe.exchange.ai_toolkit.writing import write_job
from lorasmith.recipe.exchange.imported import Imported
from lorasmith.recipe.exchange.other_trainer import Surroundings
from lorasmith.recipe.exchange.reading import read_file
from lorasmith.recipe.recipe import Recipe, recipe_values
from lorasmith.schema import read_table
from tests.recipe.exchange.bases import told_base

ANIMA = """---
job: extension
config:
  # the name
  name: "my_lora"
  process:
    - type: 'diffusion_trainer'
      training_folder: "output"
      device: cuda
      trigger_word: "zbk"
      network:
        type: "lora"
        linear: 32
        linear_alpha: 32
        conv: 16
        conv_alpha: 16
        network_kwargs:
          ignore_if_contains: ["norm_out"]
      save:
        dtype: bf16
        save_every: 250
        max_step_saves_to_keep: 4
      datasets:
        - folder_path: "/data/zbk"
          mask_path: null
          mask_min_value: 0.1
          caption_ext: "txt"
          caption_dropout_rate: 0.05
          shuffle_tokens: true
          resolution: [ 512, 768, 1024 ]
          flip_y: true
      train:
        batch_size: 1
        steps: 3000
        gradient_accumulation: 2
        train_unet: true
        train_text_encoder: false
        gradient_checkpointing: true
        noise_scheduler: flowmatch
        optimizer: adamw8bit
        optimizer_params:
          weight_decay: 1e-4
        timestep_type: weighted
        lr: 1e-4
        ema_config:
          use_ema: true
          ema_decay: 0.99
        dtype: bf16
        do_fft_loss: true
      model:
        name_or_path: "circlestone-labs/Anima-Base-v1.0-Diffusers"
        arch: anima
        quantize: true
        qtype: qfloat8
        quantize_te: true
      sample:
        sampler: flowmatch
        prompts: ["zbk in a garden"]
meta:
  name: "[name]"
"""


def recipe_of(values: dict[str, Any]) -> Recipe:
    return read_table(Recipe, values, where="test", error=RecipeError)


def job(**tables: Any) -> dict[str, Any]:
    process = {"type": "sd_trainer", "network": {"type": "lora"}, **tables}
    return {"job": "extension", "config": {"name": "x", "process": [process]}}


def left_out(imported: Imported) -> dict[str, Any]:
    return {each.key.removeprefix("config.process[0]."): each.value for each in imported.left_out}


def test_a_job_for_anima(tmp_path: Path) -> None:
    (tmp_path / "job").write_text(ANIMA)  # told by what it holds, not by its name
    imported = read_file(tmp_path / "job")
    recipe = recipe_of(imported.values)
    assert (recipe.rank, recipe.alpha, recipe.conv.rank, recipe.layers) == (32, 32, 0, ("attention", "mlp"))
    assert (recipe.lr.unet, recipe.lr.text_encoder, recipe.target_steps, recipe.accumulate) == (1e-4, 0, 3000, 2)
    assert (recipe.optimizer.name, recipe.optimizer.weight_decay) == ("adamw8bit", 1e-4)
    assert (str(recipe.save_every), recipe.keep_last, recipe.checkpointing, recipe.weights) == (
        "250 steps", 4, True, "fp8",
    )  # fmt: skip
    assert (recipe.resolution, recipe.caption.dropout, recipe.caption.shuffle, recipe.caption.keep_tokens) == (
        (1024, 1024), 0.05, True, 0,
    )  # fmt: skip
    assert (recipe.average.kind, recipe.average.decay, recipe.preserve.kind) == ("ema", 0.99, "none")
    assert (recipe.timesteps.sampling, recipe.timesteps.shift) == ("uniform", 1)
    assert (recipe.schedule.name, recipe.loss.mask) == ("constant", "none")
    assert left_out(imported) == {
        "network.network_kwargs.ignore_if_contains": ["norm_out"],
        "train.timestep_type": "weighted",
        "train.do_fft_loss": True,
        "datasets[0].resolution": [512, 768, 1024],
        "datasets[0].flip_y": True,
    }
    assert any("Anima-Base" in note for note in imported.notes)


@pytest.mark.parametrize(
    ("kind", "sampling", "shift"),
    [("sigmoid", "sigmoid", 1), ("linear", "uniform", 1), ("shift", "uniform", 3), ("flux_shift", "uniform", 3)],
)
def test_times_are_named(kind: str, sampling: str, shift: float) -> None:
    imported = from_job(job(model={"arch": "zimage:turbo"}, train={"timestep_type": kind}))
    recipe = recipe_of(imported.values)
    assert (recipe.timesteps.sampling, recipe.timesteps.shift) == (sampling, shift)
    assert not imported.left_out
    unknown = from_job(job(model={"arch": "anima"}, train={"timestep_type": "lognorm_blend"}))
    assert left_out(unknown) == {"train.timestep_type": "lognorm_blend"}


def test_a_training_adapter_of_turbo_goes_both_ways() -> None:
    imported = from_job(job(model={"arch": "zimage:turbo", "assistant_lora_path": "a/b/c.safetensors"}))
    assert not imported.left_out
    recipe = recipe_of(imported.values)
    assert recipe.training_adapter == "a/b/c.safetensors"
    written = yaml.safe_load(write_job(recipe, Surroundings("zbk"))[0])["config"]["process"][0]
    assert written["model"]["assistant_lora_path"] == "a/b/c.safetensors"
    assert "pretrained_lora_path" not in written["network"]


def test_its_own_defaults_hold_where_nothing_is_said() -> None:
    recipe = recipe_of(from_job(job(network={}, model={"name_or_path": "m"})).values)
    assert (recipe.rank, recipe.alpha, recipe.batch_size, recipe.target_steps) == (4, 1, 1, 1000)
    assert (recipe.lr.unet, recipe.lr.text_encoder, recipe.optimizer.name) == (1e-6, 0, "adamw")
    assert (recipe.checkpointing, recipe.optimizer.weight_decay, recipe.weights) == (True, 0.01, "full")


def test_a_unet_job() -> None:
    imported = from_job(
        job(
            network={"type": "lokr", "linear": 8, "conv": 4, "lokr_full_rank": False, "lokr_factor": 8},
            train={
                "lr": 1e-4, "text_encoder_lr": 1e-5, "train_text_encoder": True, "min_snr_gamma": 5, "steps": 10,
                "noise_offset": 0.05, "max_denoising_steps": 899, "optimizer": "prodigy", "lr_scheduler": "linear",
            },
            model={"arch": "sdxl", "is_v_pred": True},
            datasets=[
                {"folder_path": "a", "resolution": 768}, {"folder_path": "r", "is_reg": True}, {"folder_path": "b"},
            ],
        )
    )  # fmt: skip
    recipe = recipe_of(imported.values)
    assert (recipe.algorithm, recipe.conv.rank, recipe_values(recipe)["lokr"]) == (
        "lokr", 4, {"factor": 8, "full": False, "both": False},
    )  # fmt: skip
    assert (recipe.optimizer.name, recipe.lr.unet, recipe.lr.text_encoder) == ("prodigy", 1, 1)
    assert (recipe.loss.min_snr_gamma, recipe.noise.offset, recipe.timesteps.min) == (5, 0.05, 100)
    assert (recipe.prediction, recipe.preserve.kind, recipe.preserve.folder) == ("v_prediction", "images", "r")
    assert recipe.resolution == (768, 768)
    assert left_out(imported) == {"train.lr_scheduler": "linear", "datasets[2]": "b"}


def test_another_family_and_another_process_are_told() -> None:
    imported = from_job(job(model={"arch": "flux"}, network={"type": "lorm"}) | {"meta": {}})
    assert left_out(imported) == {"model.arch": "flux", "network.type": "lorm"}


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    (job(train={"lr": "fast"}), r"config.process\[0\].train.lr = 'fast': a number is expected"),
    (job(train={"lr": 10**400}), r"train.lr = .*: a number is expected"),
    (job(train={"lr": float("inf")}), r"train.lr = inf: a number is expected"),
    (job(train={"steps": 2.5}), r"train.steps = 2.5: a whole number above 0 is expected"),
    (job(train={"steps": [1]}), r"train.steps = \[1\]: a whole number above 0"),
    (job(network={"linear": True}), r"network.linear = True: a whole number above 0"),
    (job(train=5), r"config.process\[0\].train = 5: a table is expected"),
    (job(datasets="here"), r"config.process\[0\].datasets = 'here': a list of tables is expected"),
    (job(datasets=[{"resolution": []}]), r"datasets\[0\].resolution = \[\]: another value is expected"),
    ({"config": {"process": []}}, "config.process: a list with one process"),
    ({"config": {"process": ["x"]}}, "config.process"),
)


@pytest.mark.parametrize(("document", "words"), WRONG)
def test_a_value_that_cannot_be_meant_is_told_by_its_path(document: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        from_job(document)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(RecipeError) as fault:
        from_job(job(train={"lr": "fast", "steps": "many"}, network={"linear": "big"}))
    assert len(str(fault.value).splitlines()) == 3


ALIASES = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("job: !!python/object/apply:os.system ['x']\nconfig: {}\n", "could not determine a constructor"),
        ("job: !ruby/object:A {}\n", "could not determine a constructor"),
        ("job: [1\nconfig: {", "neither JSON nor TOML nor YAML"),
        ("job: extension\njob2: *nowhere\n", "undefined alias"),
        (ALIASES, "more than 100,000 values"),
        ("config: &a\n  process: [*a]\n", "neither"),
        ("? [a, b]\n: 1\nconfig: 2\n", "unhashable"),
        (f"config:\n  process:\n    - train: {{steps: {'9' * 5000}}}\n", "digits"),
        ("just words", "neither"),
    ],
)
def test_strange_yaml_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(RecipeError, match=words):
        read_file(tmp_path / "a.yaml")


ROUND: dict[str, dict[str, Any]] = {
    "plain": {},
    "lokr": {"algorithm": "lokr", "lokr": {"factor": 8, "full": True}},
    "dora": {"dora": True, "conv": {"rank": 4, "alpha": 2.0}, "layers": ["attention", "mlp", "conv", "time"]},
    "text": {"lr": {"unet": 1e-4, "text_encoder": 5e-5}, "loss": {"min_snr_gamma": 5.0}, "noise": {"offset": 0.1}},
    "slow start": {"schedule": {"name": "constant", "warmup": 50}, "optimizer": {"name": "lion", "weight_decay": 0.1}},
    "adafactor": {"optimizer": {"name": "adafactor", "relative": False}},
    "prodigy": {"lr": {"unet": 1.0, "text_encoder": 0.0}, "optimizer": {"name": "prodigy", "betas": [0.9, 0.99]}},
    "shown": {
        "caption": {"shuffle": True, "keep_tokens": 2, "dropout": 0.1, "tag_dropout": 0.2}, "flip": True,
        "bucket": {"step": 32}, "loss": {"mask": "files", "mask_folder": "m", "mask_outside": 0.1},
    },
    "preserved": {"preserve": {"kind": "images", "folder": "reg", "weight": 0.5}, "timesteps": {"min": 10, "max": 900}},
    "base": {"weights": "int8", "prediction": "v_prediction", "init": "a.safetensors", "keep_last": 3},
    "averaged": {"average": {"kind": "ema", "decay": 0.99}, "accumulate": 4, "loss": {"kind": "l1"}},
}  # fmt: skip
PLAIN: dict[str, Any] = {
    "base": "model.safetensors", "target_steps": 900, "save_every": "100 steps", "schedule": {"name": "constant"},
    "lr": {"unet": 1e-4, "text_encoder": 0.0}, "optimizer": {"name": "adamw"}, "preserve": {"kind": "none"},
    "caption": {"shuffle": False, "keep_tokens": 0}, "keep_last": 1000,
}  # fmt: skip


def goes_round(recipe: Recipe) -> tuple[Recipe, Imported]:
    text, lost = write_job(recipe, Surroundings("zbk"))
    assert not lost
    imported = from_job(yaml.safe_load(text))
    values = imported.values
    if recipe.preserve.kind == "none":
        values.pop("preserve")
    return recipe_of({**values, "base": recipe.base}), imported


@pytest.mark.parametrize("case", ROUND)
def test_a_recipe_goes_there_and_back(case: str) -> None:
    recipe = recipe_of(PLAIN | ROUND[case])
    back, imported = goes_round(recipe)
    assert not imported.left_out
    same = recipe.model_dump(exclude={"seed"})
    assert back.model_dump(exclude={"seed"}) == same


@pytest.mark.parametrize("family", ["anima", "zimage", "klein"])
@pytest.mark.parametrize(
    "times", [{"sampling": "sigmoid"}, {"sampling": "uniform"}, {"sampling": "uniform", "shift": 3.0}]
)
def test_flows_go_there_and_back(family: str, times: dict[str, Any], tmp_path: Path) -> None:
    base = told_base(tmp_path, family)
    recipe = recipe_of(PLAIN | {"base": base, "rank": 32, "alpha": 32.0, "timesteps": times})
    assert recipe.family.name == family
    back, imported = goes_round(recipe)
    assert not imported.left_out
    assert back.model_dump(exclude={"seed"}) == recipe.model_dump(exclude={"seed"})
    text, _ = write_job(recipe, Surroundings("zbk"))
    assert yaml.safe_load(text)["config"]["process"][0]["model"]["arch"] == (
        "flux2_klein_4b" if family == "klein" else family
    )


def test_what_it_cannot_say_is_listed(tmp_path: Path) -> None:
    recipe = recipe_of(
        {
            "epochs": 3, "algorithm": "loha", "optimizer": {"name": "schedule_free"},
            "schedule": {"name": "rex", "warmup": 10},
            "preserve": {"kind": "prior"}, "clip_skip": 2, "delta_norm": 0.1, "resolution": [512, 768],
        }
    )  # fmt: skip
    assert {each.key for each in write_job(recipe, Surroundings("x"))[1]} == {
        "base", "algorithm", "optimizer.name", "schedule.name", "schedule.warmup", "preserve.kind", "clip_skip",
        "delta_norm", "resolution", "epochs", "save_every",
    }  # fmt: skip
    flow = recipe_of(PLAIN | {"base": told_base(tmp_path, "anima"), "timesteps": {"sampling": "sigmoid", "shift": 2.0}})
    assert {each.key for each in write_job(flow, Surroundings("x"))[1]} == {"timesteps", "alpha"}
    counted = write_job(recipe_of({"epochs": 3, "save_every": "1 epochs"}), Surroundings("x", steps=300))[0]
    assert yaml.safe_load(counted)["config"]["process"][0]["save"]["save_every"] == 100


def test_export_names_the_trainer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "lora.toml").write_text('[lora]\nname = "zbk"\nsubject = "style"\ntrigger = "zbk"\n')
    out = tmp_path / "job.yaml"
    assert run(["recipe", "export", str(tmp_path / "p"), "--to", "ai-toolkit", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["text"] == out.read_text()
    assert "base" in {each["key"] for each in told["left_out"]}
    assert read_file(out).source == "ai-toolkit"
    assert run(["recipe", "export", str(tmp_path / "p"), "--to", "aitoolkit"]) == 2
    assert 'Did you mean "ai-toolkit"?' in capsys.readouterr().err
    assert run(["recipe", "export", str(tmp_path / "p"), "--to", "hub", "--kohya"]) == 2
    assert OTHER_TRAINERS["ai-toolkit"].counts
