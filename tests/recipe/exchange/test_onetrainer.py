"""OneTrainer's configurations: made after its training presets and a saved file with everything in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lorasmith.errors import RecipeError
from lorasmith.recipe.exchange.imported import Imported
from lorasmith.recipe.exchange.onetrainer.reading import from_config
from lorasmith.recipe.exchange.reading import read_file
from lorasmith.recipe.recipe import Recipe, recipe_values
from lorasmith.schema import read_table

ANIMA: dict[str, Any] = {
    "base_model_name": "circlestone-labs/Anima-Base-v1.0-Diffusers", "batch_size": 2, "learning_rate": 3e-05,
    "model_type": "ANIMA", "output_model_format": "KOHYA_LORA", "resolution": "512", "compile": True,
    "transformer": {"train": True, "weight_dtype": "INT_W8A8"},
    "text_encoder": {"train": False, "weight_dtype": "FLOAT_8"}, "training_method": "LORA",
    "vae": {"weight_dtype": "FLOAT_32"}, "train_dtype": "BFLOAT_16", "output_dtype": "BFLOAT_16",
    "timestep_distribution": "LOGIT_NORMAL", "layer_filter": "attn1,attn2,ff", "layer_filter_preset": "attn-mlp",
    "quantization": {"layer_filter": "attn1,attn2,ff", "layer_filter_preset": "attn-mlp"},
}  # fmt: skip
SDXL: dict[str, Any] = {
    "backup_after": 10, "base_model_name": "stabilityai/stable-diffusion-xl-base-1.0", "batch_size": 4,
    "learning_rate": 0.0003, "model_type": "STABLE_DIFFUSION_XL_10_BASE", "resolution": "1024,768x512",
    "training_method": "LORA", "unet": {"weight_dtype": "FLOAT_16", "learning_rate": 1e-4},
    "text_encoder": {"train": False}, "text_encoder_2": {"train": True, "learning_rate": 1e-5},
}  # fmt: skip
SAVED: dict[str, Any] = {
    "__version": 10, "peft_type": "LOKR", "lokr_dim": 8, "lokr_decompose_factor": 4, "lokr_full_matrix": True,
    "lokr_weight_decompose": True, "lora_rank": 16, "lora_alpha": 2.0, "dropout_probability": 0.1,
    "optimizer": {
        "optimizer": "PRODIGY", "beta1": 0.9, "beta2": 0.99, "d_coef": 2.0, "weight_decay": 0.1,
        "stochastic_rounding": True, "adam_w_mode": False, "growth_rate": None,
    },
    "optimizer_defaults": {"ADAMW": {"optimizer": "ADAMW"}}, "secrets": {"huggingface_token": "hf_secret"},
    "cloud": {"secrets": {"api_key": "secret"}}, "concepts": [{"path": "/data"}], "concept_file_name": "c.json",
    "learning_rate_scheduler": "COSINE_WITH_HARD_RESTARTS", "learning_rate_cycles": 3.0,
    "learning_rate_warmup_steps": 100, "gradient_accumulation_steps": 4, "learning_rate_min_factor": 0.1,
    "epochs": 12, "save_every": 2, "save_every_unit": "EPOCH", "ema": "GPU", "ema_decay": 0.999,
    "masked_training": True, "unmasked_weight": 0.2, "normalize_masked_area_loss": True,
    "loss_weight_fn": "MIN_SNR_GAMMA", "loss_weight_strength": 4.0, "offset_noise_weight": 0.05,
    "perturbation_noise_weight": 0.1, "clip_grad_norm": 0.5,
    "min_noising_strength": 0.1, "max_noising_strength": 0.9, "force_v_prediction": True,
    "rescale_noise_scheduler_to_zero_terminal_snr": True, "mae_strength": 0.5, "text_encoder_2_layer_skip": 1,
    "masked_prior_preservation_weight": 0.3,
}  # fmt: skip


def recipe_of(imported: Imported) -> Recipe:
    return read_table(Recipe, imported.values, where="test", error=RecipeError)


def left_out(imported: Imported) -> dict[str, Any]:
    return {each.key: each.value for each in imported.left_out}


def test_the_preset_for_anima(tmp_path: Path) -> None:
    (tmp_path / "recipe.txt").write_text(json.dumps(ANIMA))
    imported = read_file(tmp_path / "recipe.txt")
    recipe = recipe_of(imported)
    assert (recipe.rank, recipe.alpha, recipe.lr.unet, recipe.lr.text_encoder) == (16, 1, 3e-5, 0)
    assert (recipe.timesteps.sampling, recipe.timesteps.mean, recipe.timesteps.std) == ("logit_normal", 0, 1)
    assert (recipe.layers, recipe.weights, recipe.resolution) == (("attention", "mlp"), "int8", (512, 512))
    assert (recipe.epochs, recipe.batch_size, recipe.schedule.name, recipe.schedule.warmup) == (100, 2, "constant", 200)
    assert (recipe.optimizer.name, recipe.checkpointing, recipe.preserve.kind) == ("adamw", True, "none")
    assert not imported.left_out
    assert any("Anima" in note for note in imported.notes)


def test_the_preset_for_z_image() -> None:
    given = ANIMA | {
        "model_type": "Z_IMAGE", "learning_rate": 3e-4, "layer_filter": "^(?=.*attention)(?!.*refiner).*",
        "layer_filter_regex": True, "timestep_shift": 3.0, "noising_bias": 0.5, "noising_weight": 0.2,
    }  # fmt: skip
    imported = from_config(given)
    recipe = recipe_of(imported)
    assert (recipe.timesteps.shift, recipe.timesteps.mean, recipe.timesteps.std) == (3, 0.5, 1.2)
    assert recipe.layers == ("attention", "mlp")
    assert not imported.left_out
    sized = from_config(given | {"dynamic_timestep_shifting": True})
    assert recipe_of(sized).timesteps.shift == "size"


def test_the_preset_for_sdxl() -> None:
    imported = from_config(SDXL)
    recipe = recipe_of(imported)
    assert (recipe.lr.unet, recipe.lr.text_encoder, recipe.lr.second, recipe.weights) == (1e-4, 0, 1e-5, "full")
    assert (recipe.conv.rank, recipe.layers) == (16, ("attention", "mlp", "conv", "time"))  # no filter: all layers
    assert left_out(imported) == {"resolution": "1024,768x512"}
    assert recipe.resolution == (1024, 1024)
    plain = recipe_of(from_config(SDXL | {"layer_filter_preset": "attn-only"}))
    assert (plain.conv.rank, plain.layers) == (0, ("attention",))


def test_a_saved_configuration_with_everything_in_it() -> None:
    imported = from_config(SDXL | SAVED)
    recipe = recipe_of(imported)
    assert (recipe.algorithm, recipe.dora, recipe.rank, recipe_values(recipe)["lokr"]) == (
        "lokr", True, 8, {"factor": 4, "full": True, "both": False},
    )  # fmt: skip
    assert (recipe.optimizer.name, recipe.optimizer.weight_decay, recipe.optimizer.betas) == (
        "prodigy",
        0.1,
        (0.9, 0.99),
    )
    assert (recipe.schedule.name, recipe.schedule.cycles, recipe.schedule.warmup) == ("cosine_with_restarts", 3, 25)
    assert (recipe.epochs, str(recipe.save_every), recipe.accumulate, recipe.max_grad_norm) == (12, "2 epochs", 4, 0.5)
    assert (recipe.loss.mask, recipe.loss.mask_outside, recipe.loss.mask_renormalise) == ("files", 0.2, True)
    assert (recipe.loss.min_snr_gamma, recipe.noise.offset, recipe.noise.zero_terminal_snr) == (4, 0.05, True)
    assert (recipe.timesteps.min, recipe.timesteps.max, recipe.prediction) == (100, 900, "v_prediction")
    assert (recipe.average.kind, round(recipe.average.decay, 6)) == ("ema", round(0.999 ** (1 / 5), 6))
    assert left_out(imported).keys() == {
        "resolution", "learning_rate_min_factor", "perturbation_noise_weight", "mae_strength",
        "text_encoder_2_layer_skip", "masked_prior_preservation_weight", "dropout.network",
    }  # fmt: skip
    told = json.dumps([each.as_json() for each in imported.left_out]) + " ".join(imported.notes)
    assert "secret" not in told


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"training_method": "EMBEDDING"}, "training_method"),
        ({"model_type": "FLUX_DEV_1"}, "model_type"),
        ({"peft_type": "OFT_2"}, "peft_type"),
        ({"optimizer": {"optimizer": "CAME"}}, "optimizer.optimizer"),
        ({"learning_rate_scheduler": "COSINE_WITH_RESTARTS"}, "learning_rate_scheduler"),
        ({"timestep_distribution": "BETA"}, "timestep_distribution"),
        ({"layer_filter": "down_blocks"}, "layer_filter"),
        ({"loss_weight_fn": "SIGMA"}, "loss_weight_fn"),
        ({"transformer": {"weight_dtype": "NFLOAT_4"}}, "transformer.weight_dtype"),
        ({"something_new": 3}, "something_new"),
    ],
)
def test_what_is_not_there_is_told(given: dict[str, Any], key: str) -> None:
    base = {"training_method": "LORA", "model_type": "ANIMA", "layer_filter": "attn1,attn2,ff"}
    imported = from_config(base | given)
    assert key in left_out(imported)
    assert read_table(Recipe, imported.values, where="test", error=RecipeError)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"learning_rate": "fast"}, "learning_rate = 'fast': a number is expected"),
        ({"epochs": 0}, "epochs = 0: a whole number above 0 is expected"),
        ({"epochs": 10**400}, "epochs = 1000.*: a whole number above 0 is expected"),
        ({"optimizer": "ADAMW"}, "optimizer = 'ADAMW': a table is expected"),
        ({"resolution": "wide"}, "resolution = 'wide': another value is expected"),
        ({"unet": {"train": "perhaps"}}, "unet.train = 'perhaps': true or false is expected"),
        ({"clip_grad_norm": float("nan")}, "clip_grad_norm = nan: a number is expected"),
    ],
)
def test_a_value_that_cannot_be_meant(given: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        from_config(SDXL | given)
