"""OneTrainer's words, and what concerns the machine and files. Facts of its `modules/util/config/TrainConfig.py`,
`modules/util/enum`, `modules/util/create.py`, `modules/util/optimizer_util.py` and `modules/modelSetup`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRAINER = "onetrainer"
OPTIMIZERS: Mapping[str, str] = {
    "adamw": "adamw",
    "adamw_8bit": "adamw8bit",
    "adafactor": "adafactor",
    "lion": "lion",
    "prodigy": "prodigy",
    "schedule_free_adamw": "schedule_free",
}
WEIGHT_DECAY: Mapping[str, float] = {"adamw": 0.01, "adamw8bit": 0.01, "schedule_free": 0.01}
"""What the optimizers that it builds do where nothing is said; others: 0."""
SCHEDULES: Mapping[str, str] = {
    "constant": "constant",
    "linear": "linear",
    "cosine": "cosine",
    "cosine_with_hard_restarts": "cosine_with_restarts",
    "rex": "rex",
}
ADAPTERS: Mapping[str, str] = {"lora": "lora", "loha": "loha", "lokr": "lokr"}
LAYERS: Mapping[str, tuple[str, ...]] = {
    "attn-only": ("attention",),
    "attn-mlp": ("attention", "mlp"),
    "blocks": ("attention", "mlp"),
}
"""`layer_filter_preset`; "full" is everything."""
FILTERS: Mapping[str, str] = {
    "attn": "attn-only",
    "attn1,attn2": "attn-only",
    "attentions": "attn-mlp",
    "attn1,attn2,ff": "attn-mlp",
    "": "full",
}
"""`layer_filter`, the patterns themselves, where no preset is named."""
UNITS: Mapping[str, str] = {"epoch": "epochs", "step": "steps", "minute": "minutes"}
KEPT: Mapping[str, str] = {
    "float_32": "full",
    "float_16": "full",
    "bfloat_16": "full",
    "none": "full",
    "float_8": "fp8",
    "int_8": "int8",
    "int_w8a8": "int8",
    "float_w8a8": "fp8",
}
"""`weight_dtype` of the denoiser to where a frozen base's weights are kept."""
LOSSES: Mapping[str, str] = {"mse_strength": "l2", "mae_strength": "l1", "huber_strength": "huber"}
PART = frozenset(
    (
        "weight_dtype", "model_name", "include", "train_embedding", "attention_mask", "guidance_scale",
        "gradient_checkpointing", "offload_fraction", "activation_offloading", "stop_training_after",
        "stop_training_after_unit",
    )
)  # fmt: skip
"""Keys of a part of the model that do not change what an adapter learns, or that are told elsewhere."""
OTHER_PARTS = frozenset(
    (
        "prior", "unconditional_transformer", "text_encoder_3", "text_encoder_3_layer_skip", "text_encoder_4",
        "text_encoder_4_layer_skip", "vae", "effnet_encoder", "decoder", "decoder_text_encoder", "decoder_vqgan",
        "quantization", "embedding", "additional_embeddings", "cloud", "secrets", "optimizer_defaults",
    )
)  # fmt: skip
TECHNICAL = OTHER_PARTS | frozenset(
    (
        "__version", "debug_mode", "debug_dir", "workspace_dir", "cache_dir", "huggingface_cache_dir", "offline_mode",
        "tensorboard", "tensorboard_expose", "tensorboard_always_on", "tensorboard_port", "validate_after",
        "validate_after_unit", "continue_last_backup", "prevent_overwrites", "include_train_config", "multi_gpu",
        "device_indexes", "gradient_reduce_precision", "fused_gradient_reduce", "async_gradient_reduce",
        "async_gradient_reduce_buffer", "output_dtype", "output_model_format", "output_model_destination",
        "async_offloading", "compile", "latent_caching", "clear_cache_before_training", "dataloader_threads",
        "train_device", "temp_device", "train_dtype", "fallback_train_dtype", "weight_dtype", "enable_autocast_cache",
        "only_cache", "frames", "attention_mechanism", "loss_scaler", "embedding_learning_rate",
        "preserve_embedding_norm", "embedding_weight_dtype", "lora_weight_dtype", "bundle_additional_embeddings",
        "lora_decompose_norm_epsilon", "lokr_vec_trick", "sample_definition_file_name", "samples", "sample_after",
        "sample_after_unit", "sample_skip_first", "sample_image_format", "sample_video_format", "sample_audio_format",
        "samples_to_tensorboard", "non_ema_sampling", "backup_after", "backup_after_unit", "rolling_backup",
        "rolling_backup_count", "backup_before_save", "save_skip_first", "save_filename_prefix",
        "scheduler_params", "ema_update_step_interval", "ema_decay", "enable_async_offloading",
        "enable_activation_offloading", "layer_offload_fraction", "layer_filter_regex", "optimizer_name",
        "text_encoder_sequence_length", "text_encoder_2_sequence_length", "force_circular_padding",
        "oft_block_size", "oft_block_share", "oft_scaled", "oft_coft", "coft_eps",
    )
)  # fmt: skip
USUAL: Mapping[str, Any] = {
    "vb_loss_strength": 1.0,
    "huber_delta": 1.0,
    "learning_rate_scaler": "NONE",
    "unmasked_probability": 0.1,
    "unmasked_weight": 0.1,
    "loss_weight_strength": 5.0,
    "noising_weight": 0.0,
    "lokr_dora_on_output": True,
    "lokr_dim": 16,
    "lokr_decompose_factor": -1,
}
