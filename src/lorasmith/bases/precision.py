"""In which numbers a frozen base computes, and in which its weights are kept."""

from __future__ import annotations

from typing import Literal

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Weights = Literal["full", "fp8", "int8"]
