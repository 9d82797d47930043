"""Bases of the public models' shapes with random weights, and tiny ones like them, for `benchmarks.gpu`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderKLQwenImage, CosmosTransformer3DModel, UNet2DConditionModel
from torch import Tensor

from benchmarks.memory_counts import ANIMA, KL
from benchmarks.roofline import SHAPES
from lorasmith.bases.base import Base
from lorasmith.bases.families import find_family
from lorasmith.bases.framing import frame_whole
from lorasmith.bases.text.context import Context
from lorasmith.diffusion.parametrisation import Flow, Parametrisation, parametrisation_from_config


@dataclass(frozen=True)
class Shape:
    """A family's public model: its denoiser and VAE, the side of its pictures, the text it reads (tokens, width), the
    width of a text's one vector (0: none). `tiny` has the same in small."""

    family: str
    denoiser: Mapping[str, Any]
    vae: Mapping[str, Any]
    side: int
    text: tuple[int, int]
    pooled: int = 0
    tiny: Shape | None = None

    def make_denoiser(self) -> Any:
        if self.family != "anima":
            return UNet2DConditionModel(in_channels=4, out_channels=4, **self.denoiser)
        from lorasmith.bases.families.anima_parts import ready

        return ready(CosmosTransformer3DModel(**self.denoiser))

    def make_vae(self) -> Any:
        return AutoencoderKLQwenImage(**self.vae) if self.family == "anima" else AutoencoderKL(**self.vae)


_KL = {"latent_channels": 4, **KL}
_TINY_KL = {**_KL, "block_out_channels": (8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 4}
_TINY_UNET = {
    "sample_size": 8,
    "block_out_channels": (32, 64),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "attention_head_dim": 4,
    "cross_attention_dim": 32,
    "norm_num_groups": 8,
}
_TINY_LABELS = {
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 80,
}
_TINY_ANIMA = {
    **ANIMA,
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "num_layers": 4,
    "mlp_ratio": 2.0,
    "text_embed_dim": 16,
    "adaln_lora_dim": 8,
    "max_size": (4, 32, 32),
}
_TINY_QWEN = {
    "base_dim": 8,
    "z_dim": 16,
    "dim_mult": [1, 2, 2, 2],
    "num_res_blocks": 1,
    "temperal_downsample": [False, True, True],
}
_SHAPES = {
    "sd1": Shape(
        "sd1",
        SHAPES["SD 1.5 at 512x512"],
        _KL,
        512,
        (77, 768),
        tiny=Shape("sd1", _TINY_UNET, _TINY_KL, 64, (7, 32)),
    ),
    "sdxl": Shape(
        "sdxl",
        SHAPES["SDXL at 1024x1024"],
        {**_KL, "scaling_factor": 0.13025},
        1024,
        (77, 2048),
        1280,
        tiny=Shape("sdxl", {**_TINY_UNET, **_TINY_LABELS}, _TINY_KL, 64, (7, 32), 32),
    ),
    "anima": Shape("anima", ANIMA, {}, 1024, (512, 1024), tiny=Shape("anima", _TINY_ANIMA, _TINY_QWEN, 64, (16, 16))),
}


def shapes() -> list[str]:
    """Their names."""
    return list(_SHAPES)


@dataclass(frozen=True)
class GpuBase:
    """A base with random weights on a device. `rows`: how many a step is tried with; `swaps`: whether blocks can
    travel."""

    base: Base
    shape: Shape
    device: torch.device
    rows: tuple[int, ...]

    @property
    def swaps(self) -> bool:
        return self.device.type == "cuda"

    def inputs(self, rows: int) -> tuple[Tensor, Tensor, Context]:
        """Noisy latents, times, and what is told of the texts; the same ones every time."""
        generator = torch.Generator().manual_seed(rows)

        def noise(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator).to(self.device, self.base.dtype)

        x = noise(rows, *self.base.latent_shape((self.shape.side, self.shape.side)))
        told = {"hidden": noise(rows, *self.shape.text)}
        if self.shape.pooled:
            told["pooled"] = noise(rows, self.shape.pooled)
        return x, torch.full((rows,), 0.5), Context(told)

    def denoise(self, x: Tensor, t: Tensor, context: Context, *, base: Any = None, denoiser: Any = None) -> Tensor:
        """The output of this base, of another like it, or of another denoiser in its place."""
        base = self.base if base is None else base
        if denoiser is not None:
            base = dataclasses.replace(base, denoiser=denoiser, _modules={})
        framings = [frame_whole((self.shape.side, self.shape.side))] * len(x)
        return base.denoise(x, t, context, (self.shape.side, self.shape.side), framings)  # type: ignore[no-any-return]

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels of a row."""
        return self.base.decode_latents(latents)


def make_base(name: str, device: torch.device, *, tiny: bool) -> GpuBase:
    """A base of this shape: in bf16 on a GPU, in fp32 else."""
    shape = _SHAPES[name]
    if tiny:
        assert shape.tiny is not None
        shape = shape.tiny
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with device:
            denoiser, vae = shape.make_denoiser(), shape.make_vae()
    finally:
        torch.set_default_dtype(before)
    family = find_family(shape.family)
    denoiser, vae = (each.eval().requires_grad_(False) for each in (denoiser, vae))
    family.quicken(denoiser)
    base = Base(
        f"{name}-shape",
        Path(),
        family,
        denoiser,
        (),
        vae,
        _parametrisation(shape),
        shape.side,
        family.targets(denoiser.config, [0] * len(family.text)),
    )
    base.__dict__["content_hash"] = "0" * 64
    return GpuBase(base, shape, device, (1, 2) if tiny else (1, 2, 4, 8))


def _parametrisation(shape: Shape) -> Parametrisation:
    if shape.family == "anima":
        return Flow(3.0)
    return parametrisation_from_config({"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"})
