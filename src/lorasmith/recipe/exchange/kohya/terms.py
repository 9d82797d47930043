"""The table of kohya's arguments that have one key of ours each: read by imports, written by exports and in headers.

What takes several keys or arguments to say stands in `network`, `rates` and `length`, in rows of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lorasmith.recipe.exchange.imported import flag, number, text, whole
from lorasmith.recipe.exchange.kohya.rows import Row, Term, stated
from lorasmith.recipe.recipe import Recipe

Change = Callable[[Any], Any]


def _as_it_is(value: Any) -> Any:
    return value


def _if_set(value: Any) -> Any:
    return value or None


def _if_long(tokens: int) -> int | None:
    return tokens if tokens > 75 else None


def _steps_or_share(warmup: float) -> float | int:
    """kohya takes a whole number for steps and any other for a share of the run."""
    return float(warmup) if warmup < 1 else int(warmup)


def _term(
    argument: str,
    path: str,
    read: Change,
    default: Any,
    *,
    in_header: Change | None = _as_it_is,
    written: Change | None = None,
    header: str = "",
) -> Term:
    """`in_header` makes a header's fact of the value, None where our headers are silent; `written` an export's, by
    default a float of what is one for kohya."""
    write = written or (float if read is number else _as_it_is)
    to_header: Callable[[Recipe], Any] | None = None
    if in_header is not None:
        change = in_header

        def to_header(recipe: Recipe) -> Any:
            return change(stated(recipe, path))

    return Term(
        argument,
        lambda recipe: write(stated(recipe, path)),
        to_header,
        header,
        path=path,
        read=read,
        default=default,
    )


TERMS = (
    _term("network_dim", "rank", whole, 4, in_header=None),
    _term("train_batch_size", "batch_size", whole, 1, header="ss_batch_size_per_device"),
    _term("gradient_accumulation_steps", "accumulate", whole, 1),
    _term("max_grad_norm", "max_grad_norm", number, 1.0),
    _term("lr_scheduler_num_cycles", "schedule.cycles", whole, 1, in_header=None),
    _term("lr_warmup_steps", "schedule.warmup", number, 0, in_header=None, written=_steps_or_share),
    _term("enable_bucket", "bucket.enabled", flag, False),
    _term("bucket_reso_steps", "bucket.step", whole, 64, in_header=None),
    _term("bucket_no_upscale", "bucket.no_upscale", flag, False),
    _term("min_snr_gamma", "loss.min_snr_gamma", number, 0, in_header=_if_set),
    _term("debiased_estimation_loss", "loss.debiased", flag, False, header="ss_debiased_estimation"),
    _term("scale_v_pred_loss_like_noise_pred", "loss.scale_v", flag, False, in_header=None),
    _term("v_pred_like_loss", "loss.v_like", number, 0, in_header=None),
    _term("loss_type", "loss.kind", text, "l2"),
    _term("huber_c", "loss.huber_c", number, 0.1),
    _term("huber_scale", "loss.huber_scale", number, 1.0),
    _term("huber_schedule", "loss.huber_schedule", text, "snr"),
    _term("noise_offset", "noise.offset", number, 0, in_header=_if_set),
    _term("noise_offset_random_strength", "noise.offset_random", flag, False),
    _term("adaptive_noise_scale", "noise.offset_adaptive", number, 0, in_header=_if_set),
    _term("multires_noise_iterations", "noise.multires_iterations", whole, 0, in_header=_if_set),
    _term("multires_noise_discount", "noise.multires_discount", number, 0.3, in_header=None),
    _term("ip_noise_gamma", "noise.ip_gamma", number, 0, in_header=_if_set),
    _term("ip_noise_gamma_random_strength", "noise.ip_random", flag, False),
    _term("zero_terminal_snr", "noise.zero_terminal_snr", flag, False),
    _term("min_timestep", "timesteps.min", whole, 0, in_header=None),
    _term("max_timestep", "timesteps.max", whole, 1000, in_header=None),
    _term("clip_skip", "clip_skip", whole, 1),
    _term("shuffle_caption", "caption.shuffle", flag, False),
    _term("keep_tokens", "caption.keep_tokens", whole, 0),
    _term("keep_tokens_separator", "caption.keep_separator", text, "", in_header=None, written=_if_set),
    _term("caption_dropout_rate", "caption.dropout", number, 0),
    _term("caption_dropout_every_n_epochs", "caption.dropout_every", whole, 0),
    _term("caption_tag_dropout_rate", "caption.tag_dropout", number, 0),
    _term("weighted_captions", "caption.weighted", flag, False, in_header=None),
    _term("max_token_length", "caption.max_tokens", whole, 75, in_header=_if_long, written=_if_long),
    _term("flip_aug", "flip", flag, False),
    _term("color_aug", "augment.colour", flag, False),
    _term("random_crop", "augment.random_crop", flag, False),
    _term("gradient_checkpointing", "checkpointing", flag, False),
    _term("blocks_to_swap", "blocks_to_swap", whole, 0, in_header=None, written=_if_set),
    _term("network_dropout", "dropout.network", number, 0, in_header=_if_set),
    _term("scale_weight_norms", "max_weight_norm", number, 0, in_header=_if_set),
    _term("network_weights", "init", text, "", in_header=None, written=_if_set),
    _term("min_bucket_reso", "bucket.min", whole, 256),
    _term("max_bucket_reso", "bucket.max", whole, 1024),
)
BY_ARGUMENT = {term.argument: term for term in TERMS}

FURTHER = (
    # Facts that no argument of ours makes by itself.
    Row(
        "multires_noise_discount",
        lambda _: None,
        lambda recipe: recipe.noise.multires_discount if recipe.noise.multires_iterations else None,
    ),
    Row("total_batch_size", lambda _: None, lambda recipe: recipe.batch_size * recipe.accumulate),
)
