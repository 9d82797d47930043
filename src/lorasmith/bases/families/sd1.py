"""Stable Diffusion 1: one CLIP text encoder, 512 pixels."""

from __future__ import annotations

from lorasmith.bases.families.family import Family

SD1 = Family("sd1", "SD 1")
