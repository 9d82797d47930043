"""kohya's words and ours: one table for reading and for writing (sd-scripts' arguments; docs of its trainers).

A term is kohya's argument, our key, how its value is read, and what kohya does where it is not given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lorasmith.recipe.exchange.imported import flag, number, text, whole


@dataclass(frozen=True)
class Term:
    """One argument that has one key. `header` is its name in an adapter's header, where that is not ss_<argument>."""

    argument: str
    path: str
    read: Callable[[Any], Any]
    default: Any
    header: str = ""

    @property
    def fact(self) -> str:
        return self.header or f"ss_{self.argument}"


TERMS = (
    Term("network_dim", "rank", whole, 4),
    Term("train_batch_size", "batch_size", whole, 1, "ss_batch_size_per_device"),
    Term("gradient_accumulation_steps", "accumulate", whole, 1),
    Term("max_grad_norm", "max_grad_norm", number, 1.0),
    Term("lr_scheduler_num_cycles", "schedule.cycles", whole, 1),
    Term("lr_warmup_steps", "schedule.warmup", number, 0),
    Term("enable_bucket", "bucket.enabled", flag, False),
    Term("min_bucket_reso", "bucket.min", whole, 256),
    Term("max_bucket_reso", "bucket.max", whole, 1024),
    Term("bucket_reso_steps", "bucket.step", whole, 64),
    Term("bucket_no_upscale", "bucket.no_upscale", flag, False),
    Term("min_snr_gamma", "loss.min_snr_gamma", number, 0),
    Term("debiased_estimation_loss", "loss.debiased", flag, False, "ss_debiased_estimation"),
    Term("scale_v_pred_loss_like_noise_pred", "loss.scale_v", flag, False),
    Term("v_pred_like_loss", "loss.v_like", number, 0),
    Term("loss_type", "loss.kind", text, "l2"),
    Term("huber_c", "loss.huber_c", number, 0.1),
    Term("huber_scale", "loss.huber_scale", number, 1.0),
    Term("huber_schedule", "loss.huber_schedule", text, "snr"),
    Term("noise_offset", "noise.offset", number, 0),
    Term("noise_offset_random_strength", "noise.offset_random", flag, False),
    Term("adaptive_noise_scale", "noise.offset_adaptive", number, 0),
    Term("multires_noise_iterations", "noise.multires_iterations", whole, 0),
    Term("multires_noise_discount", "noise.multires_discount", number, 0.3),
    Term("ip_noise_gamma", "noise.ip_gamma", number, 0),
    Term("ip_noise_gamma_random_strength", "noise.ip_random", flag, False),
    Term("zero_terminal_snr", "noise.zero_terminal_snr", flag, False),
    Term("min_timestep", "timesteps.min", whole, 0),
    Term("max_timestep", "timesteps.max", whole, 1000),
    Term("clip_skip", "clip_skip", whole, 1),
    Term("shuffle_caption", "caption.shuffle", flag, False),
    Term("keep_tokens", "caption.keep_tokens", whole, 0),
    Term("keep_tokens_separator", "caption.keep_separator", text, ""),
    Term("caption_dropout_rate", "caption.dropout", number, 0),
    Term("caption_dropout_every_n_epochs", "caption.dropout_every", whole, 0),
    Term("caption_tag_dropout_rate", "caption.tag_dropout", number, 0),
    Term("weighted_captions", "caption.weighted", flag, False),
    Term("max_token_length", "caption.max_tokens", whole, 75),
    Term("flip_aug", "flip", flag, False),
    Term("color_aug", "augment.colour", flag, False),
    Term("random_crop", "augment.random_crop", flag, False),
    Term("gradient_checkpointing", "checkpointing", flag, False),
    Term("network_dropout", "dropout.network", number, 0),
    Term("scale_weight_norms", "max_weight_norm", number, 0),
    Term("network_weights", "init", text, ""),
)
BY_ARGUMENT = {term.argument: term for term in TERMS}

ELSEWHERE = {
    # What a recipe does not hold, and where it belongs; it is not listed as lost.
    "pretrained_model_name_or_path": "the base is the project's own",
    "train_data_dir": "the images are the project's own",
    "dataset_config": "the images are the project's own",
    "output_name": "the name is the project's own",
    "sample_prompts": "sample prompts stay the project's own",
}
TECHNICAL = frozenset(
    [
        "adapter",
        "cache_info",
        "cache_latents",
        "cache_latents_to_disk",
        "cache_text_encoder_outputs",
        "caption_extension",
        "cache_text_encoder_outputs_to_disk",
        "config_file",
        "console_log_level",
        "console_log_simple",
        "dataset_repeats",
        "ddp_timeout",
        "deepspeed",
        "dynamo_backend",
        "full_bf16",
        "full_fp16",
        "highvram",
        "huggingface_repo_id",
        "in_json",
        "log_prefix",
        "log_tracker_name",
        "log_with",
        "logging_dir",
        "lowram",
        "max_data_loader_n_workers",
        "mem_eff_attn",
        "metadata_author",
        "metadata_description",
        "metadata_license",
        "metadata_tags",
        "metadata_title",
        "mixed_precision",
        "no_half_vae",
        "no_metadata",
        "num_processes",
        "num_machines",
        "output_dir",
        "persistent_data_loader_workers",
        "resume",
        "sample_at_first",
        "sample_every_n_epochs",
        "sample_every_n_steps",
        "sample_sampler",
        "save_model_as",
        "save_precision",
        "save_state",
        "sdpa",
        "skip_cache_check",
        "tokenizer_cache_dir",
        "training_comment",
        "use_8bit_adam",
        "vae",
        "vae_batch_size",
        "wandb_api_key",
        "wandb_run_name",
        "xformers",
    ]
)
"""Arguments about the machine, files and logs, which do not change what is learnt."""
