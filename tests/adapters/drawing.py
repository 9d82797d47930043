"""Adapters with effect, and one forward pass through text encoder and denoiser, for the tests of this room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.bases.base import Base

ROWS = 4
PROMPTS = ("zbk, red hair", "blue hat", "1girl, smile", "")


def trained_adapter(
    base: Base,
    name: str = "a",
    *,
    algorithm: str = "lora",
    rank: int = 4,
    alpha: float = 2.0,
    conv_rank: int = 0,
    text_encoder: bool = True,
    seed: int = 0,
    size: float = 0.1,
    **more: Any,
) -> Adapter:
    """A new adapter whose trained tensors all moved, so that it has an effect everywhere."""
    generator = torch.Generator().manual_seed(seed)
    adapter = new_adapter(
        base,
        name=name,
        algorithm=algorithm,
        rank=rank,
        alpha=alpha,
        conv_rank=conv_rank,
        text_encoder=text_encoder,
        generator=generator,
        **more,
    )
    layers = {
        layer: factors.with_trained(
            {
                field: tensor + size * torch.randn(tensor.shape, generator=generator)
                for field, tensor in factors.trained().items()
            }
        )
        for layer, factors in adapter.layers.items()
    }
    return replace(adapter, layers=layers)


def noisy_latents() -> tuple[Tensor, Tensor]:
    """x_t (4, 4, 8, 8) and t (4,)."""
    return torch.randn(ROWS, 4, 8, 8, generator=torch.Generator().manual_seed(7)), torch.tensor(
        [0.003, 0.25, 0.6, 0.99]
    )


@torch.no_grad()
def draw(base: Base, rows: slice = slice(None)) -> Tensor:
    """The denoiser's output for the chosen rows, each with its own prompt, latents and timestep."""
    x, t = noisy_latents()
    return base.denoise(x[rows], t[rows], base.encode(PROMPTS[rows]))


def state_of(base: Base) -> dict[str, Tensor]:
    """Copies of every weight that an adapter could touch."""
    parts = (base.denoiser, *(encoder.model for encoder in base.text_encoders))
    return {f"{i}.{key}": value.clone() for i, part in enumerate(parts) for key, value in part.state_dict().items()}
