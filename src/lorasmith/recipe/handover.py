"""What a recipe says about the dataset, in the words of kohya's dataset file."""

from __future__ import annotations

from typing import Any

from lorasmith.recipe.recipe import Recipe


def kohya_general(recipe: Recipe) -> dict[str, Any]:
    """Keys of [general]: what happens to captions and pictures at every visit."""
    caption, augment = recipe.caption, recipe.augment
    keys: dict[str, Any] = {
        "shuffle_caption": caption.shuffle,
        "keep_tokens": caption.keep_tokens,
        "caption_dropout_rate": caption.dropout,
        "flip_aug": recipe.flip,
    }
    further = {
        "keep_tokens_separator": caption.keep_separator,
        "caption_dropout_every_n_epochs": caption.dropout_every,
        "caption_tag_dropout_rate": caption.tag_dropout,
        "color_aug": augment.colour,
        "random_crop": augment.random_crop,
        "alpha_mask": recipe.loss.mask == "alpha",
    }
    return keys | {key: value for key, value in further.items() if value}


def kohya_buckets(recipe: Recipe) -> dict[str, Any]:
    """Keys of [[datasets]]: resolution, batch and buckets."""
    rules, bucket = recipe.bucket_rules, recipe.bucket
    keys: dict[str, Any] = {
        "resolution": list(recipe.resolution),
        "batch_size": recipe.batch_size,
        "enable_bucket": bucket.enabled,
    }
    if bucket.enabled:
        keys |= {
            "min_bucket_reso": rules.smallest,
            "max_bucket_reso": rules.largest,
            "bucket_reso_steps": rules.step,
            "bucket_no_upscale": bucket.no_upscale,
        }
    return keys
