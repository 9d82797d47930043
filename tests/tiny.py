"""A base of each family in the true diffusers layout, with random weights, small enough for every test."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from lorasmith.bases.library_logs import quiet_libraries

WORDS = ("1girl", "red", "blue", "hair", "hat", "smile", "zbk", "background")
LATENT_SIZE = 8


def build_tiny_base(folder: Path, family: str = "sd1", seed: int = 0) -> Path:
    """Write a diffusers folder of `family` ("sd1", "sd2", "sdxl"): 64x64 pixels, 8x8 latents of 4 channels.

    sd1 has a tiny VAE and predicts noise, sd2 linear projections and velocity, sdxl two text encoders and a KL VAE.
    """
    with torch.random.fork_rng(), quiet_libraries():
        torch.manual_seed(seed)
        pipeline = _sdxl() if family == "sdxl" else _sd(family)
        pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def tiny_tokenizer(pad: str = "<|endoftext|>") -> CLIPTokenizer:
    """A CLIP tokenizer over bytes whose only long tokens are `WORDS`."""
    characters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256))]
    vocabulary = [*characters, *(f"{each}</w>" for each in characters)]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        left = parts[0]
        for right in parts[1:]:
            if (left, right) not in merges:
                merges.append((left, right))
            left += right
            if left not in vocabulary:
                vocabulary.append(left)
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(vocabulary)},
        merges=merges,
        pad_token=pad,
        model_max_length=77,
    )


def _scheduler(prediction: str) -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )


def _text_config(tokenizer: CLIPTokenizer, width: int, act: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=77,
        projection_dim=width,
        hidden_act=act,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _sd(family: str) -> StableDiffusionPipeline:
    tokenizer = tiny_tokenizer()
    text = CLIPTextModel(_text_config(tokenizer, 32, "quick_gelu" if family == "sd1" else "gelu"))
    unet = UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=32,
        norm_num_groups=8,
        use_linear_projection=family == "sd2",
    )
    return StableDiffusionPipeline(
        vae=_tiny_vae() if family == "sd1" else _kl_vae(),
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=_scheduler("epsilon" if family == "sd1" else "v_prediction"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl() -> StableDiffusionXLPipeline:
    tokenizer, tokenizer_2 = tiny_tokenizer(), tiny_tokenizer(pad="!")
    unet = UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        attention_head_dim=(4, 8),
        cross_attention_dim=32 + 48,
        norm_num_groups=8,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=48 + 6 * 8,
    )
    return StableDiffusionXLPipeline(
        vae=_kl_vae(),
        text_encoder=CLIPTextModel(_text_config(tokenizer, 32, "quick_gelu")),
        text_encoder_2=CLIPTextModelWithProjection(_text_config(tokenizer_2, 48, "gelu")),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        unet=unet,
        scheduler=_scheduler("epsilon"),
        add_watermarker=False,
    )


def _tiny_vae() -> AutoencoderTiny:
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(0, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 0),
        latent_channels=4,
        scaling_factor=1.25,
        shift_factor=0.0,
    )


def _kl_vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.18215,
        sample_size=64,
    )


def diffusers_pipeline(folder: Path) -> Any:
    """The library's own pipeline over a folder: the oracle of tests. Without a progress bar."""
    from diffusers import DiffusionPipeline

    with quiet_libraries(), warnings.catch_warnings():
        pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
