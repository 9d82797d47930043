"""The keys of a dataset file of kohya's trainer (sd-scripts, library/config_util.py, ConfigSanitizer), and what is made
of each: taken over, left to the recipe, or named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

KEYS: Mapping[str, tuple[str, object]] = {
    "shuffle_caption": ("caption.shuffle", False),
    "keep_tokens": ("caption.keep_tokens", 0),
    "keep_tokens_separator": ("caption.keep_separator", ""),
    "caption_dropout_rate": ("caption.dropout", 0.0),
    "caption_dropout_every_n_epochs": ("caption.dropout_every", 0),
    "caption_tag_dropout_rate": ("caption.tag_dropout", 0.0),
    "flip_aug": ("flip", False),
    "color_aug": ("augment.colour", False),
    "random_crop": ("augment.random_crop", False),
}
"""(recipe key, the trainer's default) of what is taken over."""
OF_THE_RECIPE = frozenset(
    (
        *("resolution", "batch_size", "enable_bucket", "min_bucket_reso", "max_bucket_reso", "bucket_reso_steps"),
        *("bucket_no_upscale", "network_multiplier", "prior_loss_weight", "max_token_length"),
    )
)
"""What depends on the base and the machine: the presets of the recipe decide."""
_USED = frozenset(
    (
        *("image_dir", "is_reg", "num_repeats", "class_tokens", "caption_extension", "caption_extention"),
        *("metadata_file", "subsets"),
    )
)
_OF_CAPTIONS = ("caption_prefix", "caption_suffix", "enable_wildcard", "alpha_mask", "secondary_separator")
_WITHOUT_COUNTERPART = {
    "face_crop_aug_range": "not taken over: there are no crops around faces.",
    "token_warmup_min": "",  # by itself it does nothing
    "token_warmup_step": "not taken over: captions have all their tags from the first step on.",
    "conditioning_data_dir": "not taken over: pictures that steer others are not learnt here.",
    "caption_separator": "not taken over: tags are separated by commas.",
    "cache_info": "",  # of the speed alone
    "validation_split": "not taken over; [recipe.validation] holds images out.",
    "validation_seed": "not taken over; [recipe.validation] holds images out.",
    "resize_interpolation": "not taken over: pictures are resized by area and Lanczos.",
    "custom_attributes": "not taken over.",
    "debug_dataset": "",  # of the trainer's own testing
}
_NONE: tuple[object, ...] = (None, False, 0, "", [], ())


def unused_keys(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, why) of what a subset says and nothing is made of."""
    for key, value in values.items():
        if key in _USED or key in KEYS or key in OF_THE_RECIPE:
            continue
        if key in _OF_CAPTIONS:
            if value:
                yield key, "not taken over; captions are taken as they are."
        elif key not in _WITHOUT_COUNTERPART:
            yield key, "no key of kohya's dataset files, whose trainer stops at it."
        elif _WITHOUT_COUNTERPART[key] and value not in _NONE:
            yield key, _WITHOUT_COUNTERPART[key]


def shared_settings(subsets: Sequence[Mapping[str, Any]]) -> tuple[dict[str, object], tuple[str, ...]]:
    """(value by recipe key of what all subsets say alike and is not the trainer's default, keys that differ)."""
    settings: dict[str, object] = {}
    differing: list[str] = []
    for key, (path, default) in KEYS.items():
        values = [values.get(key, default) for values in subsets]
        if any(value != values[0] for value in values):
            differing.append(key)
        elif values and values[0] != default and isinstance(values[0], bool | int | float | str):
            settings[path] = values[0]
    return settings, tuple(differing)
