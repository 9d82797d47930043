"""Stable Diffusion 2: one OpenCLIP text encoder, 512 or 768 pixels, noise or velocity."""

from __future__ import annotations

from lorasmith.bases.families.family import Family

SD2 = Family("sd2", "SD 2")
