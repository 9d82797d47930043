"""ai-toolkit's words: kinds of bases, times of a flow, and what concerns the machine and files.

Facts of its `toolkit/config_modules.py`, `toolkit/optimizer.py`, `toolkit/scheduler.py`,
`toolkit/samplers/custom_flowmatch_sampler.py` and `extensions_built_in/diffusion_models`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRAINERS = ("sd_trainer", "diffusion_trainer", "ui_trainer")
"""Its processes that train an adapter on pictures."""
TRAINER = "ai-toolkit"
FLAGS = ("is_xl", "is_v2")
"""What older files say instead of `model.arch`, and those of SD 1 say nothing."""
FLOW_SHIFT = 3.0
"""Of the schedulers that it trains Anima and Z-Image with; only the `*shift` kinds of times use it."""
TIMES: Mapping[str, Mapping[str, Any]] = {
    "sigmoid": {"sampling": "sigmoid", "std": 1.0, "shift": 1.0},
    "linear": {"sampling": "uniform", "shift": 1.0},
    "shift": {"sampling": "uniform", "shift": FLOW_SHIFT},
    "flux_shift": {"sampling": "uniform", "shift": FLOW_SHIFT},
    "lumina2_shift": {"sampling": "uniform", "shift": FLOW_SHIFT},
}
"""`train.timestep_type`; without a shift that grows with the picture the three shifts are one."""
LOSSES: Mapping[str, str] = {"mse": "l2", "mae": "l1"}
QUANTISED: Mapping[str, str] = {
    "qfloat8": "fp8",
    "float8": "fp8",
    "qint8": "int8",
    "int8": "int8",
    "convrot8": "int8",
}
"""`model.qtype` to where the frozen base's weights are kept."""
WEIGHT_DECAY: Mapping[str, float] = {"adamw": 0.01, "adamw8bit": 0.01, "lion": 0.0, "prodigy": 0.0, "adafactor": 0.0}
"""What the optimizers that it builds do where nothing is said."""
PROCESS = frozenset(
    ("type", "training_folder", "sqlite_db_path", "device", "performance_log_every", "logging", "meta", "sample")
)
SAVING = frozenset(("dtype", "save_format", "push_to_hub", "hf_repo_id", "hf_private"))
DATASET = frozenset(
    (
        "caption_ext", "caption_type", "cache_latents", "cache_latents_to_disk", "cache_text_embeddings",
        "cache_clip_vision_to_disk", "cache_tensors_to_disk", "cache_latents_num_workers", "num_workers",
        "prefetch_factor", "type", "fast_image_size", "debug", "num_frames", "shrink_video_to_frames", "controls",
        "load_image_when_caching_latents", "dataset_path", "full_size_control_images", "replay_transforms",
    )
)  # fmt: skip
TRAINING = frozenset(
    (
        "dtype", "xformers", "sdp", "attention_backend", "noise_scheduler", "skip_first_sample", "force_first_sample",
        "disable_sampling", "unload_text_encoder", "cache_text_embeddings", "bypass_guidance_embedding",
        "gradient_checkpointing_kwargs", "switch_boundary_every", "diff_output_preservation_class", "max_loss_debug",
        "validation_config",
    )
)  # fmt: skip
MODEL = frozenset(
    (
        "dtype", "vae_dtype", "te_dtype", "quantize_te", "qtype_te", "low_vram", "layer_offloading", "auto_memory",
        "layer_offloading_transformer_percent", "layer_offloading_text_encoder_percent", "compile", "block_compile",
        "compile_mode", "compile_fullgraph", "compile_dynamic", "cache_size_limit", "model_kwargs", "model_paths",
        "extras_name_or_path", "te_name_or_path", "vae_path", "quantize_kwargs", "split_model_over_gpus", "vae_device",
        "te_device",
    )
)  # fmt: skip
USUAL_TRAINING: Mapping[str, Any] = {
    "content_or_style": "balanced",
    "num_train_timesteps": 1000,
    "diff_output_preservation_multiplier": 1.0,
    "blank_prompt_preservation_multiplier": 1.0,
    "loss_target": "noise",
    "reg_weight": 1.0,
    "noise_multiplier": 1.0,
    "cfg_scale": 1.0,
}
USUAL_DATASET: Mapping[str, Any] = {
    "network_weight": 1,
    "mask_min_value": 0.1,  # its page writes this, with a mask and without
    "scale": 1.0,
    "loss_multiplier": 1.0,
    "fps": 24,
}
USUAL_NETWORK: Mapping[str, Any] = {"transformer_only": True, "split_multistage_loras": True}
