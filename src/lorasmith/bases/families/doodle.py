"""Doodle, the embedded base: in the layout of Stable Diffusion 1, small enough for any computer."""

from __future__ import annotations

from lorasmith.bases.families.family import Family

DOODLE = Family("doodle", "Doodle")
