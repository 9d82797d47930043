"""An order: one picture as the server keeps it, before anything heavy is imported. JSON both ways.

The drawing side's request (`lorasmith.generation.spec`) is made from it by the worker. Pictures that an order
starts from are named by the hash of their file among the server's inputs.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["queued", "running", "done", "failed", "cancelled"]
FINAL: tuple[State, ...] = ("done", "failed", "cancelled")
GREATEST_SEED = 2**63 - 1
GREATEST_RANDOM_SEED = 2**32


class Part(BaseModel):
    """A frozen piece of an order; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Variation(Part):
    """A second seed whose noise is mixed in."""

    seed: int = Field(default=0, ge=0, le=GREATEST_SEED)
    strength: float = Field(default=0.0, ge=0, le=1)


class Hires(Part):
    """A second pass on the enlarged picture. `width` and `height` go before `scale`; 0 steps means as many as in the
    first pass."""

    scale: float = Field(default=2.0, ge=1, le=4)
    width: int | None = Field(default=None, ge=64)
    height: int | None = Field(default=None, ge=64)
    steps: int = Field(default=0, ge=0)
    denoising: float = Field(default=0.7, ge=0, le=1)
    upscaler: str = Field(default="Latent", max_length=64)
    prompt: str = ""
    negative: str = ""


class Start(Part):
    """The picture that an order starts from, and the mask (white is drawn anew), as hashes of stored inputs."""

    image: str = Field(pattern="^[0-9a-f]{64}$")
    mask: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    strength: float = Field(default=0.75, ge=0, le=1)
    resize: Literal["stretch", "crop", "fill"] = "stretch"


class Order(Part):
    """One picture with all that was asked. `None` means the base's own; seeds are decided."""

    prompt: str
    negative: str = ""
    seed: int = Field(ge=0, le=GREATEST_SEED)
    steps: int = Field(default=20, ge=1)
    cfg: float | None = Field(default=None, ge=0, le=100)
    sampler: str = "DDIM"
    schedule: str = "Automatic"
    width: int | None = Field(default=None, ge=64)
    height: int | None = Field(default=None, ge=64)
    clip_skip: int = Field(default=1, ge=1, le=12)
    emphasis: str = "original"
    compat: Literal["a1111"] | None = None
    tiling: bool = False
    eta: float | None = Field(default=None, ge=0, le=1)
    variation: Variation | None = None
    hires: Hires | None = None
    start: Start | None = None
    base: str
