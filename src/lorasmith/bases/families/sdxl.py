"""Stable Diffusion XL: two text encoders, 1024 pixels; the denoiser is told sizes and the cut, too."""

from __future__ import annotations

from lorasmith.bases.families.family import Family

SDXL = Family("sdxl", "SDXL")
