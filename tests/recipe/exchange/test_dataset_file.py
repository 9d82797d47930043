"""A recipe's words for kohya's dataset file."""

from __future__ import annotations

from lorasmith.bases.families import find_family
from lorasmith.project import SubjectKind
from lorasmith.recipe.exchange.kohya.dataset_file import kohya_buckets, kohya_general
from lorasmith.recipe.presets import preset
from lorasmith.recipe.recipe import Recipe


def test_the_preset_in_kohyas_words() -> None:
    recipe = Recipe.model_validate(preset(SubjectKind.CHARACTER, find_family("sdxl")))
    assert kohya_general(recipe) == {
        "shuffle_caption": True,
        "keep_tokens": 1,
        "caption_dropout_rate": 0,
        "flip_aug": False,
    }
    assert kohya_buckets(recipe) == {
        "resolution": [1024, 1024],
        "batch_size": 3,
        "enable_bucket": True,
        "min_bucket_reso": 256,
        "max_bucket_reso": 2048,
        "bucket_reso_steps": 64,
        "bucket_no_upscale": False,
    }


def test_without_buckets_their_bounds_are_not_told() -> None:
    values = preset(SubjectKind.STYLE, find_family("doodle")) | {"bucket": {"enabled": False}}
    assert kohya_buckets(Recipe.model_validate(values)) == {
        "resolution": [128, 128],
        "batch_size": 4,
        "enable_bucket": False,
    }
