"""What a recipe says about the dataset, in the words of kohya's dataset file."""

from __future__ import annotations

from typing import Any

from lorasmith.recipe.exchange.kohya.rows import stated
from lorasmith.recipe.exchange.kohya.terms import BY_ARGUMENT
from lorasmith.recipe.recipe import Recipe

_ALWAYS = ("shuffle_caption", "keep_tokens", "caption_dropout_rate", "flip_aug")
_IF_SET = (
    "keep_tokens_separator", "caption_dropout_every_n_epochs", "caption_tag_dropout_rate", "color_aug", "random_crop",
)  # fmt: skip
_BUCKETS = ("min_bucket_reso", "max_bucket_reso", "bucket_reso_steps", "bucket_no_upscale")


def kohya_general(recipe: Recipe) -> dict[str, Any]:
    """Keys of [general]: what happens to captions and pictures at every visit."""
    further = {argument: value for argument, value in _values(recipe, *_IF_SET).items() if value}
    return _values(recipe, *_ALWAYS) | further | ({"alpha_mask": True} if recipe.loss.mask == "alpha" else {})


def kohya_buckets(recipe: Recipe) -> dict[str, Any]:
    """Keys of [[datasets]]: resolution, batch and buckets."""
    keys = {"resolution": list(recipe.resolution), "batch_size": recipe.batch_size}
    keys |= _values(recipe, "enable_bucket")
    return keys | (_values(recipe, *_BUCKETS) if recipe.bucket.enabled else {})


def _values(recipe: Recipe, *arguments: str) -> dict[str, Any]:
    return {argument: stated(recipe, BY_ARGUMENT[argument].path) for argument in arguments}
