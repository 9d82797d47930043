"""The recipe: presets, layers of overlays, and every fault reported at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from lorasmith.bases.detection import family_of
from lorasmith.bases.families import FAMILIES, find_family
from lorasmith.errors import RecipeError
from lorasmith.project import SubjectKind
from lorasmith.recipe.durations import Duration
from lorasmith.recipe.form import recipe_form
from lorasmith.recipe.presets import explain_preset, preset
from lorasmith.recipe.recipe import Recipe, differing_keys, parse_recipe, read_recipe, recipe_values, write_recipe
from lorasmith.recipe.tables import ConvTable
from tests.projects import build_project


@pytest.mark.parametrize("kind", SubjectKind)
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_preset_is_a_recipe(kind: SubjectKind, family: str) -> None:
    recipe = Recipe.model_validate(preset(kind, find_family(family)))
    assert parse_recipe(write_recipe(recipe), where="recipe.toml") == recipe


def test_numbers_of_r4_and_r5() -> None:
    character = Recipe.model_validate(preset(SubjectKind.CHARACTER, find_family("sdxl")))
    assert (character.lr.unet, character.lr.text_encoder) == (5e-4, 5e-5)
    assert (character.rank, character.alpha, character.target_steps, character.epochs) == (16, 8, 1120, 1)
    assert (character.optimizer.name, character.schedule.name, character.schedule.cycles) == (
        "adafactor",
        "cosine_with_restarts",
        3,
    )
    assert (character.batch_size, character.resolution, character.clip_skip) == (3, (1024, 1024), 2)
    assert (character.loss.min_snr_gamma, character.noise.offset, character.flip) == (5, 0.1, False)
    assert (character.caption.shuffle, character.caption.keep_tokens, character.bucket.enabled) == (True, 1, True)
    concept = Recipe.model_validate(preset(SubjectKind.CONCEPT, find_family("sdxl")))
    assert (concept.rank, concept.alpha, concept.target_steps) == (8, 4, 1105)


def test_the_file_overlays_the_preset_and_set_overlays_the_file(tmp_path: Path) -> None:
    project = build_project(tmp_path, "rank = 4\nlr.unet = 2e-4")
    recipe = read_recipe(project, {"lr.text_encoder": "0", "resolution": "[64, 96]", "save_every": "2 epochs"})
    assert recipe.rank == 4
    assert (recipe.lr.unet, recipe.lr.text_encoder) == (2e-4, 0)
    assert recipe.resolution == (64, 96)
    assert recipe.save_every == Duration(2, "epochs")
    assert recipe.batch_size == find_family("doodle").presets["*"].values["batch_size"]


def test_epochs_given_drop_the_preset_s_target(tmp_path: Path) -> None:
    project = build_project(tmp_path)
    assert read_recipe(project).target_steps is not None
    recipe = read_recipe(project, {"epochs": "4"})
    assert (recipe.epochs, recipe.target_steps) == (4, None)
    both = read_recipe(project, {"epochs": "4", "target_steps": "100"})
    assert (both.epochs, both.target_steps) == (4, 100)


def test_convolutions_of_the_preset_are_switched_off_by_their_rank(tmp_path: Path) -> None:
    project = build_project(tmp_path, "")
    assert read_recipe(project).conv.rank
    assert read_recipe(project).conv.alpha
    assert read_recipe(project, {"conv.rank": "0"}).conv == ConvTable()
    assert read_recipe(build_project(tmp_path / "p", "conv.rank = 0"), {}).conv == ConvTable()
    with pytest.raises(RecipeError, match=r"conv\.alpha without conv\.rank"):
        read_recipe(project, {"conv.rank": "0", "conv.alpha": "2"})


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    project = build_project(tmp_path, 'rank = 0\nrnak = 3\nalpha = "a"\nlr.unte = 1\nsave_every = 3\nresolution = 100')
    with pytest.raises(RecipeError) as fault:
        read_recipe(project)
    lines = str(fault.value).splitlines()
    assert len(lines) == 6
    text = "\n".join(lines)
    assert 'rnak = 3: unknown key. Did you mean "rank"?' in text
    assert 'lr.unte = 1: unknown key. Did you mean "unet"?' in text
    assert "rank = 0: must be greater than or equal to 1" in text
    assert "alpha = 'a'" in text
    assert "save_every = 3: a duration needs a unit" in text
    assert "resolution = 100: sides are multiples of 8" in text
    assert all("[recipe]" in line for line in lines)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("lr = { unet = 0, text_encoder = 0 }", "nothing would be trained"),
        ("bucket.min = 192", "bucket.min = 192 is above resolution's 128"),
        ("bucket.max = 64", "bucket.max = 64 is below resolution's 128"),
        ("conv = { rank = 0, alpha = 1 }", "conv.alpha without conv.rank"),
        ("rank = true", "rank = True"),
        ("lr.unet = inf", "finite"),
        ('optimizer.name = "adam"', "adamw"),
        ("layers = []", "layers"),
        ('alpha = "8"', "alpha = '8'"),
    ],
)
def test_refuses(tmp_path: Path, recipe: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        read_recipe(build_project(tmp_path, recipe))


def test_differing_keys_name_both_values(tmp_path: Path) -> None:
    project = build_project(tmp_path)
    one, other = read_recipe(project), read_recipe(project, {"rank": "3", "lr.unet": "0.5"})
    assert differing_keys(one, one) == []
    assert differing_keys(one, other) == [f"lr.unet ({one.lr.unet!r}, now 0.5)", f"rank ({one.rank!r}, now 3)"]


def test_family_from_the_config_alone(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    config = tmp_path / "unet" / "config.json"
    for width, family in ((768, "sd1"), (1024, "sd2"), (2048, "sdxl")):
        config.write_text(f'{{"cross_attention_dim": {width}}}')
        assert family_of(str(tmp_path)).name == family
    assert family_of(str(tmp_path / "absent")).name == "sd1"
    assert family_of("doodle").name == "doodle"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ('rank_by_timestep = 2\nalgorithm = "loha"', "rank_by_timestep: for plain lora only"),
        ("rank_by_timestep = 64", "rank_by_timestep = 64 is above rank"),
        ("dropout.rank = 0.1\ndora = true", "dropout.rank: for plain lora only"),
        ('max_weight_norm = 1\nalgorithm = "lokr"', "max_weight_norm: for plain lora only"),
        ('lr.plus_ratio = 4\nalgorithm = "ia3"', "lr.plus_ratio is for lora"),
        ("blocks.lr = { IN12x = 1 }", "is no block"),
        ('optimizer.name = "prodigy"\nlr.unet = 0.5', "prodigy has one rate"),
        ("optimizer.relative = true", "optimizer.relative is adafactor's"),
        ("optimizer.growth = 2", "optimizer.growth is prodigy's"),
        ('optimizer = { name = "adafactor", betas = [0.9, 0.99] }', "adafactor has none"),
        ('optimizer.name = "schedule_free"\naverage.kind = "ema"', "schedule_free averages by itself"),
        ("schedule.power = 2", "schedule.power is polynomial's"),
        ("timesteps = { min = 500, max = 400 }", "timesteps.min = 500 is not below"),
        ("loss.mask_renormalise = true", "need loss.mask"),
        ("loss.debiased = true", "choose one"),
        ("noise.offset_random = true", "without noise.offset does nothing"),
        ("noise.ip_random = true", "without noise.ip_gamma does nothing"),
        ("caption.max_tokens = 100", "caption.max_tokens = 100"),
    ],
)
def test_combinations_that_do_nothing_are_faults(tmp_path: Path, recipe: str, message: str) -> None:
    with pytest.raises(RecipeError) as fault:
        read_recipe(build_project(tmp_path, recipe))
    assert message in str(fault.value)


def test_an_optimizer_brings_what_it_calls_for(tmp_path: Path) -> None:
    project = build_project(tmp_path)
    recipe = read_recipe(project, {"optimizer.name": "prodigy"})
    assert (recipe.lr.unet, recipe.lr.text_encoder, recipe.schedule.name) == (1, 1, "cosine")
    only_unet = read_recipe(project, {"optimizer.name": "prodigy", "lr.text_encoder": "0"})
    assert (only_unet.lr.unet, only_unet.trains_text) == (1, False)
    assert read_recipe(project, {"optimizer.name": "lion", "lr.unet": "3e-4"}).lr.unet == 3e-4
    assert read_recipe(project, {"optimizer.name": "schedule_free"}).schedule.name == "constant"


@pytest.mark.parametrize("kind", SubjectKind)
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_preset_explains_its_numbers(kind: SubjectKind, family: str) -> None:
    values, reasons = preset(kind, find_family(family)), explain_preset(kind, find_family(family))
    assert len(reasons) >= 3
    assert f"rank {values['rank']}, alpha {values['alpha']}" in reasons[0]
    assert f"{values['target_steps']} steps" in reasons[0]


def test_every_key_has_its_words() -> None:
    bare = []

    def look(table: type[BaseModel], prefix: str) -> None:
        for name, field in table.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                look(field.annotation, f"{prefix}{name}.")
            elif not field.description:
                bare.append(prefix + name)

    look(Recipe, "")
    assert not bare


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("algorithm", "lokrr", r'algorithm = .lokrr.: unknown algorithm. Did you mean "lokr"?'),
        ("algorithm", "glora", "is not trained. Those are: lora, dylora, ia3, loha, lokr, norm."),
        ("optimizer.name", "adamv", r'optimizer.name = .adamv.: unknown optimizer. Did you mean "adamw"?'),
        ("schedule.name", "cosin", r'unknown learning-rate schedule. Did you mean "cosine"?'),
    ],
)
def test_what_is_not_there_is_refused_with_the_nearest_name(tmp_path: Path, key: str, name: str, message: str) -> None:
    project = build_project(tmp_path, "", base="doodle")
    with pytest.raises(RecipeError, match=message.replace("?", r"\?")):
        read_recipe(project, {key: name})


def test_keys_of_older_files_are_read(tmp_path: Path) -> None:
    project = build_project(tmp_path, 'algorithm = "dylora"\ndylora_block = 2', base="doodle")
    recipe = read_recipe(project)
    assert recipe_values(recipe)["dylora"] == {"block": 2}
    assert "dylora_block" not in recipe_values(recipe)
    assert parse_recipe(write_recipe(recipe), where="it") == recipe


def test_a_resolution_beyond_the_presets_buckets_takes_bounds_of_its_own(tmp_path: Path) -> None:
    project = build_project(tmp_path / "p")
    own = read_recipe(project).bucket_rules
    assert (own.smallest, own.largest) == (64, 256)
    large = read_recipe(project, {"resolution": "768"}).bucket_rules
    assert (large.smallest, large.largest) == (64, 1536)
    small = read_recipe(project, {"resolution": "[32, 48]"}).bucket_rules
    assert (small.smallest, small.largest) == (16, 256)
    with pytest.raises(RecipeError, match=r"bucket\.max = 512 is below"):
        read_recipe(project, {"resolution": "768", "bucket.max": "512"})


def test_a_switch_that_may_be_left_to_us_is_a_choice_in_the_form(tmp_path: Path) -> None:
    keys = {key.path: key for key in recipe_form(build_project(tmp_path)).keys}
    key = keys["cache_text_encoder_outputs"]
    assert (key.kind, key.choices, key.value) == ("choice", ("auto", True, False), "auto")
