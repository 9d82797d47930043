"""diffusion-pipe's training files: made after its examples and docs/supported_models.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomlkit

from lorasmith.errors import RecipeError
from lorasmith.recipe.exchange.diffusion_pipe import from_config
from lorasmith.recipe.exchange.imported import Imported
from lorasmith.recipe.exchange.reading import read_file
from lorasmith.recipe.recipe import Recipe, recipe_values
from lorasmith.schema import read_table

COMMON = """
output_dir = '/data/runs'
dataset = 'examples/dataset.toml'
epochs = 100
micro_batch_size_per_gpu = 2
pipeline_stages = 1
gradient_accumulation_steps = 4
gradient_clipping = 1.0
warmup_steps = 100
blocks_to_swap = 20
eval_every_n_epochs = 1
eval_before_first_step = true
save_every_n_epochs = 2
checkpoint_every_n_minutes = 120
activation_checkpointing = 'unsloth'
partition_method = 'parameters'
save_dtype = 'bfloat16'
caching_batch_size = 1
steps_per_print = 1
[adapter]
type = 'lora'
rank = 32
dtype = 'bfloat16'
[optimizer]
type = 'adamw_optimi'
lr = 2e-5
betas = [0.9, 0.99]
weight_decay = 0.01
eps = 1e-8
[monitoring]
enable_wandb = true
wandb_api_key = 'secret'
"""
ANIMA = """
[model]
type = 'anima'
transformer_path = '/models/anima-preview.safetensors'
vae_path = '/models/qwen_image_vae.safetensors'
llm_path = '/models/qwen_3_06b_base.safetensors'
dtype = 'bfloat16'
llm_adapter_lr = 0
"""
ZIMAGE = """
[model]
type = 'z_image'
diffusion_model = '/models/z_image_turbo_bf16.safetensors'
vae = '/models/flux_vae.safetensors'
text_encoders = [{path = '/models/qwen_3_4b.safetensors', type = 'lumina2'}]
merge_adapters = ['/models/zimage_turbo_training_adapter_v1.safetensors']
dtype = 'bfloat16'
diffusion_model_dtype = 'float8'
timestep_sample_method = 'uniform'
shift = 3
flux_shift = true
"""
SDXL = """
[model]
type = 'sdxl'
checkpoint_path = '/models/sdxl.safetensors'
dtype = 'bfloat16'
v_pred = true
min_snr_gamma = 5
unet_lr = 4e-5
text_encoder_1_lr = 2e-5
text_encoder_2_lr = 1e-5
"""


def recipe_of(imported: Imported) -> Recipe:
    return read_table(Recipe, imported.values, where="test", error=RecipeError)


def imported_of(text: str, **more: Any) -> Imported:
    return from_config({**tomlkit.parse(text).unwrap(), **more})


def left_out(imported: Imported) -> dict[str, Any]:
    return {each.key: each.value for each in imported.left_out}


def test_anima(tmp_path: Path) -> None:
    (tmp_path / "train.conf").write_text(COMMON + ANIMA)
    imported = read_file(tmp_path / "train.conf")
    recipe = recipe_of(imported)
    assert imported.source == "diffusion-pipe"
    assert (recipe.rank, recipe.alpha, recipe.lr.unet, recipe.lr.text_encoder, recipe.lr.second) == (32, 32, 2e-5, 0, 0)
    assert (recipe.timesteps.sampling, recipe.timesteps.std, recipe.timesteps.shift) == ("sigmoid", 1, 1)
    assert (recipe.epochs, recipe.batch_size, recipe.accumulate, str(recipe.save_every)) == (100, 2, 4, "2 epochs")
    assert (recipe.schedule.name, recipe.schedule.warmup, recipe.checkpointing) == ("constant", 100, True)
    assert (recipe.optimizer.name, recipe.optimizer.betas, recipe.optimizer.weight_decay) == (
        "adamw",
        (0.9, 0.99),
        0.01,
    )
    assert not imported.left_out
    assert any("dataset" in note for note in imported.notes)
    assert not any("secret" in note for note in imported.notes)


def test_the_conditioner_learns_unless_its_rate_is_0() -> None:
    assert recipe_of(imported_of(COMMON + ANIMA.replace("llm_adapter_lr = 0", ""))).lr.second == 2e-5
    assert recipe_of(imported_of(COMMON + ANIMA.replace("lr = 0", "lr = 1e-6"))).lr.second == 1e-6


def test_z_image() -> None:
    imported = imported_of(COMMON + ZIMAGE)
    recipe = recipe_of(imported)
    assert (recipe.timesteps.sampling, recipe.timesteps.shift, recipe.weights) == ("uniform", 3, "fp8")
    assert recipe.training_adapter == "/models/zimage_turbo_training_adapter_v1.safetensors"
    assert not imported.left_out
    two = imported_of(COMMON + ZIMAGE.replace("merge_adapters = ['", "merge_adapters = ['/b.safetensors', '"))
    assert list(left_out(two)) == ["model.merge_adapters"]
    assert recipe_of(imported_of(COMMON + ZIMAGE.replace("shift = 3\n", ""))).timesteps.shift == "size"


def test_sdxl() -> None:
    imported = imported_of(COMMON + SDXL, max_steps=500, lr_scheduler="linear", pseudo_huber_c=0.5)
    recipe = recipe_of(imported)
    assert (recipe.lr.unet, recipe.lr.text_encoder, recipe.lr.second) == (4e-5, 2e-5, 1e-5)
    assert (recipe.prediction, recipe.loss.min_snr_gamma, recipe.schedule.name) == ("v_prediction", 5, "linear")
    assert (recipe.target_steps, recipe.epochs) == (500, None)
    assert (recipe.loss.kind, recipe.loss.huber_c, recipe.loss.huber_schedule) == ("huber", 0.5, "constant")
    assert not imported.left_out


def test_a_lokr_of_full_factors() -> None:
    given = tomlkit.parse(COMMON + SDXL).unwrap()
    given["adapter"] = {"type": "lokr", "rank": 1e6, "decompose_factor": 4}
    recipe = recipe_of(from_config(given))
    assert (recipe.algorithm, recipe.rank) == ("lokr", 4096)
    assert recipe_values(recipe)["lokr"] == {"factor": 4, "full": True, "both": False}


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"model": {"type": "flux"}}, "model.type"),
        ({"model": {"type": "anima", "self_attn_lr": 1e-5}}, "model.self_attn_lr"),
        ({"model": {"type": "anima", "timestep_sample_method": "beta"}}, "model.timestep_sample_method"),
        ({"adapter": None}, "adapter"),
        ({"adapter": {"type": "oft", "rank": 4}}, "adapter.type"),
        ({"optimizer": {"type": "automagic"}}, "optimizer.type"),
        ({"optimizer": {"type": "adamw", "beta2_half_life": 100}}, "optimizer.beta2_half_life"),
        ({"micro_batch_size_per_gpu": [[512, 4], [1024, 1]]}, "micro_batch_size_per_gpu"),
        ({"save_every_n_examples": 100}, "save_every_n_examples"),
        ({"something_new": 3}, "something_new"),
    ],
)
def test_what_is_not_there_is_told(table: dict[str, Any], key: str) -> None:
    imported = imported_of(COMMON + ANIMA, **table)
    assert key in left_out(imported)
    assert recipe_of(imported).rank


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"epochs": "many"}, "epochs = 'many': a whole number above 0 is expected"),
        ({"optimizer": {"type": "adamw", "lr": "fast"}}, "optimizer.lr = 'fast': a number is expected"),
        ({"adapter": ["lora"]}, r"adapter = \['lora'\]: a table is expected"),
        ({"adapter": {"rank": -4}}, "adapter.rank = -4: a whole number above 0 is expected"),
        ({"micro_batch_size_per_gpu": [[512]]}, "micro_batch_size_per_gpu = .*: another value is expected"),
        ({"warmup_steps": 10**400}, "warmup_steps = .*: a whole number is expected"),
    ],
)
def test_a_value_that_cannot_be_meant(table: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        imported_of(COMMON + ANIMA, **table)
