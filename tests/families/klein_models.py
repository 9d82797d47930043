"""A whole FLUX.2-klein of its true layout and small widths, with random weights, and its pipeline in diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from tests.families.zimage_models import make_tokenizer

TRANSFORMER: dict[str, Any] = {
    "in_channels": 32,
    "num_layers": 1,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 72,
    "timestep_guidance_channels": 32,
    "axes_dims_rope": (4, 4, 4, 4),
    "guidance_embeds": False,
}


def build_klein(folder: Path, *, distilled: bool = False, **transformer: Any) -> Path:
    """Write a base in diffusers' layout; what is given changes the transformer's configuration."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = {
            "text_encoder": Qwen3ForCausalLM(
                Qwen3Config(
                    hidden_size=24,
                    intermediate_size=32,
                    num_hidden_layers=4,
                    num_attention_heads=2,
                    num_key_value_heads=1,
                    head_dim=8,
                    vocab_size=400,
                    max_position_embeddings=1024,
                    rope_theta=1_000_000.0,
                )
            ),
            "transformer": Flux2Transformer2DModel(**{**TRANSFORMER, **transformer}),
            "vae": AutoencoderKLFlux2(
                block_out_channels=(32, 32, 32, 64), layers_per_block=1, latent_channels=8, sample_size=64
            ),
        }
        torch.nn.init.normal_(parts["vae"].bn.running_mean, std=0.3)
        torch.nn.init.uniform_(parts["vae"].bn.running_var, 0.5, 2.0)
        for name, part in parts.items():
            for parameter in part.parameters():
                if parameter.ndim == 2 and name == "transformer":
                    torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
    tokenizer = make_tokenizer()
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    Flux2KleinPipeline(scheduler=scheduler, tokenizer=tokenizer, is_distilled=distilled, **parts).save_pretrained(
        folder
    )
    return folder


def load_pipeline(folder: Path) -> Any:
    """diffusers' pipeline on the same files."""
    pipeline = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        vae=AutoencoderKLFlux2.from_pretrained(folder / "vae").eval(),
        text_encoder=Qwen3ForCausalLM.from_pretrained(folder / "text_encoder").eval(),
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
        transformer=Flux2Transformer2DModel.from_pretrained(folder / "transformer").eval(),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
