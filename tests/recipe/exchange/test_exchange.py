"""Recipes of other trainers (R6): both hub shapes, kohya's files, adapters' headers, and the ways back."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from lorasmith.cli.main import run
from lorasmith.errors import RecipeError
from lorasmith.project import open_project
from lorasmith.recipe.exchange.hub import KEYS, from_hub, to_hub
from lorasmith.recipe.exchange.imported import value_of
from lorasmith.recipe.exchange.kohya.header import from_header
from lorasmith.recipe.exchange.kohya.reading import from_arguments
from lorasmith.recipe.exchange.kohya.terms import TERMS
from lorasmith.recipe.exchange.kohya.writing import to_kohya
from lorasmith.recipe.exchange.reading import into_project, read_file
from lorasmith.recipe.recipe import Recipe, read_recipe, recipe_values
from lorasmith.schema import read_table
from tests.recipe.exchange.bases import told_base

HUB = {
    "engine": "kohya", "unetLR": 0.0005, "textEncoderLR": 0.00005, "clipSkip": 2, "loraType": "lora", "keepTokens": 1,
    "networkDim": 16, "networkAlpha": 8, "numRepeats": 80, "resolution": 1024, "lrScheduler": "cosine_with_restarts",
    "lrSchedulerNumCycles": 3, "minSnrGamma": 5, "noiseOffset": 0.1, "targetSteps": 1120, "maxTrainEpochs": 1,
    "enableBucket": True, "optimizerType": "Adafactor", "shuffleCaption": True, "trainBatchSize": 3,
    "flipAugmentation": False,
}  # fmt: skip
TOOLKIT = {
    "engine": "ai-toolkit", "ecosystem": "sdxl", "epochs": 10, "steps": 2000, "batchSize": 2, "resolution": 1024,
    "lr": 1e-4, "textEncoderLr": None, "trainTextEncoder": False, "lrScheduler": "cosine", "optimizerType": "adamw8bit",
    "networkDim": 32, "networkAlpha": 16, "noiseOffset": None, "minSnrGamma": None, "flipAugmentation": True,
    "shuffleTokens": True, "keepTokens": 2, "numRepeats": 4,
}  # fmt: skip
KOHYA = """
[network_arguments]
network_module = "lycoris.kohya"
network_dim = 16
network_alpha = 8
network_args = ["algo=lokr", "factor=8", "conv_dim=4", "conv_alpha=2", "dora_wd=True", "preset=full", "wild=1"]
[optimizer]
unet_lr = 5e-4
text_encoder_lr = [5e-5, 1e-5]
optimizer_type = "Prodigy8"
optimizer_args = ["weight_decay=0.1", "betas=(0.9, 0.99)", "odd=3"]
lr_scheduler = "cosine_with_restarts"
lr_scheduler_num_cycles = 3
[training]
resolution = "1024,768"
max_train_epochs = 12
save_every_n_epochs = 2
save_last_n_epochs = 3
train_batch_size = 3
enable_bucket = true
max_bucket_reso = 2048
shuffle_caption = true
keep_tokens = 1
noise_offset = 0.1
min_snr_gamma = 5
clip_skip = 2
mixed_precision = "fp16"
pretrained_model_name_or_path = "model.safetensors"
flux_shift = 3
"""


def recipe_of(values: dict[str, Any]) -> Recipe:
    """The values as a recipe: an import always makes a valid one."""
    return read_table(Recipe, values, where="test", error=RecipeError)


def differing(one: Recipe, other: Recipe, but: tuple[str, ...] = ()) -> list[str]:
    a, b = recipe_values(one), recipe_values(other)
    return [term.path for term in TERMS if term.path not in but and value_of(a, term.path) != value_of(b, term.path)]


def test_the_hub_s_preset_is_r4() -> None:
    imported = from_hub(HUB)
    recipe = recipe_of(imported.values)
    assert (recipe.rank, recipe.alpha, recipe.lr.unet, recipe.lr.text_encoder) == (16, 8, 5e-4, 5e-5)
    assert (recipe.epochs, recipe.target_steps, recipe.batch_size, recipe.resolution) == (1, 1120, 3, (1024, 1024))
    assert (recipe.optimizer.name, recipe.schedule.name, recipe.schedule.cycles) == (
        "adafactor",
        "cosine_with_restarts",
        3,
    )
    assert (recipe.loss.min_snr_gamma, recipe.noise.offset, recipe.clip_skip) == (5, 0.1, 2)
    assert (recipe.caption.shuffle, recipe.caption.keep_tokens, recipe.preserve.kind) == (True, 1, "none")
    assert str(recipe.save_every) == "112 steps"
    assert not imported.left_out
    assert any("bucket limits" in note for note in imported.notes)


def test_the_hub_s_json_goes_round() -> None:
    recipe = recipe_of(from_hub({"trainingDetails": {"baseModel": "sdxl", "params": HUB}}).values)
    document, lost = to_hub(recipe, repeats=80, steps=1120)
    assert tuple(document) == KEYS
    assert document == HUB
    assert not lost
    other = recipe.model_copy(update={"schedule": recipe.schedule.model_copy(update={"name": "rex"})})
    assert [each.key for each in to_hub(other, repeats=1, steps=1)[1]] == ["schedule.name"]


def test_the_other_shape() -> None:
    imported = from_hub(TOOLKIT)
    recipe = recipe_of(imported.values)
    assert (recipe.target_steps, recipe.epochs, str(recipe.save_every)) == (2000, None, "200 steps")
    assert (recipe.lr.unet, recipe.lr.text_encoder, recipe.optimizer.name) == (1e-4, 0, "adamw8bit")
    assert (recipe.loss.min_snr_gamma, recipe.noise.offset, recipe.flip, recipe.caption.keep_tokens) == (0, 0, True, 2)
    assert [each.key for each in imported.left_out] == ["numRepeats"]


@pytest.mark.parametrize(("ecosystem", "alpha"), [("sdxl", 16), ("anima", 32), ("ZImage", 32)])
def test_the_other_shape_is_for_flows_too(ecosystem: str, alpha: float) -> None:
    imported = from_hub(TOOLKIT | {"ecosystem": ecosystem, "trainTextEncoder": True, "textEncoderLr": 1e-5})
    recipe = recipe_of(imported.values)
    flow = ecosystem != "sdxl"
    assert (recipe.alpha, recipe.lr.text_encoder) == (alpha, 0 if flow else 1e-5)
    assert [each.key for each in imported.left_out] == ["trainTextEncoder"] * flow + ["numRepeats"]
    other = from_hub(TOOLKIT | {"ecosystem": "flux1"})
    assert [(each.key, each.value) for each in other.left_out] == [("ecosystem", "flux1"), ("numRepeats", 4)]


def test_what_the_hub_says_and_we_cannot() -> None:
    imported = from_hub(HUB | {"optimizerType": "Automagic", "networkDim": "many", "newThing": 3, "loraType": "dora"})
    assert {each.key for each in imported.left_out} == {"optimizerType", "networkDim", "newThing", "loraType"}
    prodigy = from_hub(HUB | {"optimizerType": "Prodigy", "unetLR": 1, "textEncoderLR": 0.5})
    recipe = recipe_of(prodigy.values)
    assert (recipe.optimizer.name, recipe.lr.text_encoder, recipe.optimizer.betas) == ("prodigy", 1, (0.9, 0.99))
    assert [each.key for each in prodigy.left_out] == ["text_encoder_lr"]


def test_kohya_s_toml(tmp_path: Path) -> None:
    (tmp_path / "train.toml").write_text(KOHYA)
    imported = read_file(tmp_path / "train.toml")
    recipe = recipe_of(imported.values)
    assert (recipe.algorithm, recipe.dora, recipe_values(recipe)["lokr"]["factor"]) == ("lokr", True, 8)
    assert (recipe.conv.rank, recipe.conv.alpha, recipe.layers) == (4, 2, ("attention", "mlp", "conv", "time"))
    assert (recipe.lr.unet, recipe.lr.text_encoder, recipe.lr.second) == (5e-4, 5e-5, 1e-5)
    assert (recipe.optimizer.name, recipe.optimizer.weight_decay, recipe.optimizer.betas) == ("adamw", 0.1, (0.9, 0.99))
    assert (recipe.resolution, recipe.epochs, str(recipe.save_every), recipe.keep_last) == (
        (1024, 768),
        12,
        "2 epochs",
        3,
    )
    assert (recipe.bucket.min, recipe.bucket.max, recipe.bucket.enabled) == (256, 2048, True)
    assert {each.key for each in imported.left_out} == {
        "optimizer_type", "optimizer_args: odd", "network_args: wild", "flux_shift",
    }  # fmt: skip
    assert any("pretrained_model_name_or_path" in note for note in imported.notes)


def test_kohya_s_own_defaults_hold_where_nothing_is_said() -> None:
    recipe = recipe_of(from_arguments({"network_module": "networks.lora"}, "kohya").values)
    assert (recipe.rank, recipe.alpha, recipe.batch_size, recipe.target_steps) == (4, 1, 1, 1600)
    assert (recipe.lr.unet, recipe.lr.text_encoder) == (2e-6, 2e-6)
    assert (recipe.schedule.name, recipe.caption.shuffle, recipe.bucket.enabled) == ("constant", False, False)
    assert recipe.conv.rank == 0


def test_kohya_s_cached_texts() -> None:
    asked: dict[str, Any] = {"learning_rate": 1e-4, "network_train_unet_only": True, "cache_text_encoder_outputs": True}
    read = from_arguments(asked, "kohya")
    assert (read.values["cache_text_encoder_outputs"], read.left_out) == (True, [])
    on_disk = {"learning_rate": 1e-4, "qwen3": "q.safetensors", "cache_text_encoder_outputs_to_disk": "true"}
    assert recipe_of(from_arguments(on_disk, "kohya").values).cache_text_encoder_outputs is True
    off = recipe_of(from_arguments({"cache_text_encoder_outputs": False}, "kohya").values)
    assert off.cache_text_encoder_outputs == "auto"
    for changing in ({"shuffle_caption": True}, {"caption_tag_dropout_rate": 0.1}, {"network_train_unet_only": False}):
        left = from_arguments(asked | changing, "kohya")
        assert [each.key for each in left.left_out] == ["cache_text_encoder_outputs"]
        assert recipe_of(left.values).cache_text_encoder_outputs == "auto"
    frozen = {"epochs": 2, "base": "m.safetensors", "lr": {"unet": 1e-4, "text_encoder": 0.0}}
    for caption, kept in (({"shuffle": False}, True), ({"shuffle": False, "dropout": 0.1}, False), ({}, False)):
        text = to_kohya(recipe_of(frozen | {"caption": caption}), name="x")[0]
        assert ("cache_text_encoder_outputs = true" in text) is kept


def test_kohya_s_merged_adapters() -> None:
    read = from_arguments({"base_weights": ["a.safetensors"], "base_weights_multiplier": [1.0]}, "kohya")
    assert (recipe_of(read.values).training_adapter, read.left_out) == ("a.safetensors", [])
    for given in ({"base_weights": ["a", "b"]}, {"base_weights": "a", "base_weights_multiplier": 0.5}):
        read = from_arguments(given, "kohya")
        assert ([each.key for each in read.left_out], "training_adapter" in read.values) == (["base_weights"], False)


def test_adafactor_without_arguments_ignores_the_rates() -> None:
    relative = from_arguments({"optimizer_type": "Adafactor"}, "kohya")
    fixed = from_arguments({"optimizer_type": "Adafactor", "optimizer_args": "relative_step=False"}, "kohya")
    assert [recipe_of(each.values).optimizer.relative for each in (relative, fixed)] == [True, False]


def test_lycoris_adapts_convolutions_unless_told_otherwise() -> None:
    for arguments, rank in (([], 8), (["conv_dim=2"], 2), (["preset=attn-mlp"], 0)):
        given = {"network_module": "lycoris.kohya", "network_dim": 8, "network_args": ["algo=loha", *arguments]}
        assert recipe_of(from_arguments(given, "kohya").values).conv.rank == rank


def test_the_front_end_s_json(tmp_path: Path) -> None:
    document = {
        "LoRA_type": "LyCORIS/LoCon", "network_dim": 16, "network_alpha": 8, "conv_dim": 8, "conv_alpha": 4,
        "epoch": 10, "max_train_steps": 0, "optimizer": "AdamW8bit", "unet_lr": 1e-4, "text_encoder_lr": 1e-5,
        "lr_warmup": 10, "lr_scheduler": "cosine", "max_resolution": "768,768", "seed": "", "cache_latents": True,
    }  # fmt: skip
    (tmp_path / "gui.json").write_text(json.dumps(document))
    recipe = recipe_of(read_file(tmp_path / "gui.json").values)
    assert (recipe.epochs, recipe.conv.rank, recipe.conv.alpha, recipe.schedule.warmup) == (10, 8, 4, 0.1)
    assert (recipe.optimizer.name, recipe.resolution) == ("adamw8bit", (768, 768))


@pytest.mark.parametrize(("kind", "offset", "layers"), [("Original", 0.1, 0), ("Multires", 0, 6)])
def test_the_front_end_passes_one_kind_of_noise_on(kind: str, offset: float, layers: int, tmp_path: Path) -> None:
    document = {
        "LoRA_type": "Standard", "network_dim": 16, "epoch": 10, "noise_offset_type": kind, "noise_offset": 0.1,
        "multires_noise_iterations": 6, "multires_noise_discount": 0.3,
    }  # fmt: skip
    (tmp_path / "gui.json").write_text(json.dumps(document))
    imported = read_file(tmp_path / "gui.json")
    assert not imported.left_out
    noise = recipe_of(imported.values).noise
    assert (noise.offset, noise.multires_iterations) == (offset, layers)


@pytest.mark.parametrize(("warmup", "written"), [(20, "20"), (20.0, "20"), (1, "1"), (0.1, "0.1"), (0, "0.0")], ids=str)
def test_kohya_reads_a_warm_up_as_it_is_meant(warmup: float, written: str) -> None:
    """A float is a share of the run there."""
    recipe = recipe_of({"epochs": 2, "schedule": {"warmup": warmup}})
    assert f"\nlr_warmup_steps = {written}\n" in to_kohya(recipe, name="x")[0]


ROUND: dict[str, dict[str, Any]] = {
    "plain": {"target_steps": 500},
    "locon": {"epochs": 3, "conv": {"rank": 4, "alpha": 2.0}, "layers": ["attention", "mlp", "conv", "time"]},
    "lokr": {"epochs": 3, "algorithm": "lokr", "dora": True, "lokr": {"factor": 4, "full": True}},
    "dylora": {"epochs": 3, "algorithm": "dylora", "dylora_block": 4},
    "unet only": {"epochs": 2, "lr": {"unet": 1e-4, "text_encoder": 0.0, "plus_ratio": 16.0}},
    "prodigy": {
        "epochs": 2, "lr": {"unet": 1.0, "text_encoder": 1.0},
        "optimizer": {"name": "prodigy", "weight_decay": 0.5, "betas": [0.9, 0.99], "growth": 2.0},
    },
    "relative": {"epochs": 2, "optimizer": {"name": "adafactor", "relative": True}},
    "polynomial": {"epochs": 2, "schedule": {"name": "polynomial", "power": 2.0, "warmup": 0.1}},
    "constant": {"epochs": 2, "schedule": {"name": "constant", "warmup": 30}},
    "noisy": {
        "epochs": 2, "noise": {"offset": 0.1, "offset_random": True, "multires_iterations": 6, "ip_gamma": 0.1},
        "loss": {"kind": "huber", "min_snr_gamma": 5}, "timesteps": {"min": 10, "max": 900},
        "caption": {"shuffle": True, "keep_separator": "|||", "tag_dropout": 0.1, "max_tokens": 225},
        "dropout": {"network": 0.1, "rank": 0.2, "module": 0.3}, "max_weight_norm": 1.0,
    },
    "base in fp8": {"epochs": 2, "weights": "fp8", "prediction": "v_prediction"},
    "told before": {
        "epochs": 2, "lr": {"unet": 1e-4, "text_encoder": 0.0}, "caption": {"shuffle": False},
        "cache_text_encoder_outputs": True, "training_adapter": "helper.safetensors",
    },
    "masked": {"epochs": 2, "loss": {"mask": "alpha"}, "preserve": {"kind": "images", "folder": "reg", "weight": 0.5}},
}  # fmt: skip


@pytest.mark.parametrize(("family", "kept"), [("anima", False), ("zimage", True), ("klein", True)])
def test_fp8_is_written_where_the_trainer_takes_it(tmp_path: Path, family: str, kept: bool) -> None:
    """sd-scripts' Anima warns and keeps the base whole; musubi-tuner keeps its models in fp8."""
    recipe = recipe_of({"epochs": 2, "base": told_base(tmp_path, family), "weights": "fp8"})
    text, lost = to_kohya(recipe, name="zbk")
    assert ("fp8_base" in tomlkit.parse(text)) is kept
    assert [each.reason for each in lost if each.key == "weights"] == (
        [] if kept else ["kohya's trainer keeps Anima whole"]
    )


@pytest.mark.parametrize("case", ROUND)
def test_a_recipe_goes_through_kohya_s_toml_and_back(case: str) -> None:
    recipe = recipe_of({"base": "model.safetensors", "save_every": "2 epochs"} | ROUND[case])
    text, lost = to_kohya(recipe, name="zbk")
    assert not lost
    imported = from_arguments(tomlkit.parse(text).unwrap(), "kohya")
    assert not imported.left_out
    back = recipe_of(imported.values | {"base": recipe.base})
    assert not differing(recipe, back, but=("bucket.min", "bucket.max"))
    same = (
        "weights",
        "prediction",
        "algorithm",
        "alpha",
        "dora",
        "conv",
        "lokr",
        "lr",
        "epochs",
        "target_steps",
        "seed",
        "save_every",
        "layers",
        "training_adapter",
        "caches_text",
    )
    for key in same:
        assert getattr(back, key) == getattr(recipe, key), key
    assert back.optimizer.model_copy(update={"weight_decay": 0}) == recipe.optimizer.model_copy(
        update={"weight_decay": 0}
    )
    assert (back.schedule, back.loss.mask, back.preserve.kind) == (
        recipe.schedule,
        recipe.loss.mask,
        recipe.preserve.kind,
    )
    assert back.bucket_rules == recipe.bucket_rules


def test_what_kohya_cannot_say_is_listed() -> None:
    recipe = recipe_of(
        {
            "target_steps": 10,
            "preserve": {"kind": "differential"},
            "delta_norm": 0.1,
            "save_every": "5 minutes",
            "weights": "int8",
            "precision": "bf16",
        }
    )
    assert {each.key for each in to_kohya(recipe, name="x")[1]} == {
        "preserve.kind", "delta_norm", "save_every", "base", "weights",
    }  # fmt: skip


HEADER = {
    "ss_network_module": "networks.lora", "ss_network_dim": "32", "ss_network_alpha": "16.0",
    "ss_network_args": '{"conv_dim": "8", "conv_alpha": "4"}', "ss_learning_rate": "0.0001", "ss_unet_lr": "0.0003",
    "ss_text_encoder_lr": "5e-05", "ss_max_train_steps": "2000", "ss_num_epochs": "10", "ss_lr_scheduler": "cosine",
    "ss_lr_warmup_steps": "100", "ss_clip_skip": "2", "ss_seed": "7", "ss_noise_offset": "0.05",
    "ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))",
    "ss_min_snr_gamma": "5.0", "ss_max_grad_norm": "1.0",
    "ss_gradient_accumulation_steps": "2", "ss_sd_model_name": "model.safetensors", "ss_base_model_version": "sd_v1",
    "ss_multires_noise_iterations": "None", "ss_debiased_estimation": "False",
}  # fmt: skip
FLAT = {
    "ss_batch_size_per_device": "4", "ss_resolution": "(512, 768)", "ss_enable_bucket": "True", "ss_keep_tokens": "1",
    "ss_shuffle_caption": "True", "ss_flip_aug": "False", "ss_min_bucket_reso": "256", "ss_max_bucket_reso": "1024",
}  # fmt: skip
DATASETS = {
    "ss_datasets": json.dumps(
        [
            {
                "batch_size_per_device": 4, "resolution": [512, 768], "enable_bucket": True, "min_bucket_reso": 256,
                "max_bucket_reso": 1024, "tag_frequency": {"a": {"b": 1}},
                "subsets": [{"shuffle_caption": True, "keep_tokens": 1, "flip_aug": False, "num_repeats": 3}],
            }
        ]
    )
}  # fmt: skip


@pytest.mark.parametrize("more", [FLAT, DATASETS], ids=["folders", "dataset file"])
def test_an_adapter_s_header(more: dict[str, str]) -> None:
    imported = from_header(HEADER | more, "a.safetensors")
    recipe = recipe_of(imported.values)
    assert (recipe.rank, recipe.alpha, recipe.conv.rank, recipe.conv.alpha) == (32, 16, 8, 4)
    assert (recipe.lr.unet, recipe.lr.text_encoder, recipe.target_steps, recipe.seed) == (3e-4, 5e-5, 2000, 7)
    assert (recipe.optimizer.name, recipe.optimizer.weight_decay, recipe.optimizer.betas) == (
        "adamw8bit",
        0.1,
        (0.9, 0.99),
    )
    assert (recipe.batch_size, recipe.accumulate, recipe.resolution, recipe.bucket.enabled) == (4, 2, (512, 768), True)
    assert (recipe.caption.shuffle, recipe.caption.keep_tokens, recipe.clip_skip, recipe.noise.offset) == (
        True,
        1,
        2,
        0.05,
    )
    assert not imported.left_out
    assert any("sd_v1" in note for note in imported.notes)


def test_the_keys_tell_whether_convolutions_are_adapted() -> None:
    header = HEADER | FLAT | {"ss_network_module": "lycoris.kohya", "ss_network_args": '{"algo": "lokr"}'}
    attention = "lora_unet_down_blocks_0_attentions_0_proj_in.lokr_w1"
    for keys, rank in (((), 32), ((attention,), 0), ((attention, "lora_unet_mid_block_resnets_0_conv1.lokr_w1"), 32)):
        assert recipe_of(from_header(header, "a", keys).values).conv.rank == rank


def test_a_header_without_a_recipe() -> None:
    with pytest.raises(RecipeError, match="tells no recipe"):
        from_header({"format": "pt"}, "a.safetensors")


def adapter_file(path: Path, metadata: dict[str, str]) -> Path:
    text = json.dumps({"__metadata__": metadata}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    return path


PROJECT = """# mine
[lora]
name = "zbk"
subject = "character"
trigger = "zbk"

[recipe]
epochs = 4  # to be replaced
[recipe.sample]
prompts = ["zbk"]  # kept
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "lora.toml").write_text(PROJECT)
    return tmp_path / "p"


def test_into_a_project_comments_stay(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = adapter_file(tmp_path / "a.safetensors", HEADER | FLAT)
    assert run(["recipe", "import", str(file), "--into", str(project), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["source"], told["recipe"]["rank"], told["left_out"]) == ("an adapter's header", 32, [])
    text = (project / "lora.toml").read_text()
    assert "# mine" in text
    assert "# kept" in text
    recipe = read_recipe(open_project(project))
    assert (recipe.rank, recipe.target_steps, recipe.epochs, recipe.sample.prompts) == (32, 2000, None, ("zbk",))
    assert recipe.preserve.kind == "none"


def test_what_makes_no_recipe_is_not_written(project: Path) -> None:
    imported = from_hub(HUB | {"networkDim": 100_000})
    before = (project / "lora.toml").read_text()
    with pytest.raises(RecipeError, match="rank"):
        into_project(imported, open_project(project))
    assert (project / "lora.toml").read_text() == before


def test_import_and_export_for_a_person(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hub.json").write_text(json.dumps(HUB | {"newThing": 3}))
    assert run(["recipe", "import", str(tmp_path / "hub.json")]) == 0
    out = capsys.readouterr().out
    assert "[recipe]" in out
    assert "newThing = 3: has no counterpart here" in out
    assert run(["recipe", "export", str(project), "--hub"]) == 0
    assert '"maxTrainEpochs": 4' in capsys.readouterr().out
    assert run(["recipe", "export", str(project), "--kohya", "--out", str(tmp_path / "k.toml")]) == 0
    assert "max_train_epochs = 4" in (tmp_path / "k.toml").read_text()
    assert "preserve.kind = both" in capsys.readouterr().out
    assert run(["recipe", "export", str(project)]) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{"),
        ("a.json", "[1]"),
        ("a.json", '{"hello": 1}'),
        ("a.toml", "a = "),
        ("a.toml", "network_dim = 4\nnetwork_train_unet_only = 'perhaps'"),
        ("a.json", '{"a":' * 5000),
        ("a.safetensors", "no"),
    ],
)
def test_files_that_hold_no_recipe(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(RecipeError):
        read_file(tmp_path / name)


def test_an_algorithm_that_is_not_trained_here_is_told() -> None:
    imported = from_arguments({"network_module": "lycoris.kohya", "network_args": ["algo=diag-oft"]}, "kohya")
    assert imported.get("algorithm") == "lora"
    assert [(each.key, each.value) for each in imported.left_out] == [("network_module", "lycoris.kohya diag-oft")]
