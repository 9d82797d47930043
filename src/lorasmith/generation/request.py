"""A request for one picture, and what is checked before anything is drawn."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from lorasmith.bases.base import Base
from lorasmith.diffusion.samplers import find_sampler
from lorasmith.errors import UsageError, did_you_mean
from lorasmith.project import EMBEDDED
from lorasmith.prompts.compatibility import Compat, read_compat

Emphasis = Literal["original", "no norm", "none"]
EMPHASES: tuple[Emphasis, ...] = ("original", "no norm", "none")
LEAST_SIDE, GREATEST_SIDE = 64, 4096
MOST_STEPS = 1000
EMBEDDED_CFG, OTHER_CFG = 4.0, 7.0


@dataclass(frozen=True)
class Request:
    """One picture to draw. Adapters are called in the prompt: ``<lora:NAME:0.8>`` (U1).

    `cfg`, `width` and `height` default to the base's own; sizes are pixels. `emphasis` is how weights act on the
    text's vectors; `compat` is the prompt's dialect (`lorasmith.prompts.compatibility`).
    """

    prompt: str
    negative: str = ""
    seed: int = 0
    steps: int = 20
    cfg: float | None = None
    sampler: str = "DDIM"
    width: int | None = None
    height: int | None = None
    clip_skip: int = 1
    emphasis: Emphasis = "original"
    compat: Compat = None

    def as_json(self) -> dict[str, Any]:
        """Every field by its name."""
        return asdict(self)


@dataclass(frozen=True)
class Settings:
    """A request's numbers with nothing left open. Rows of one forward pass share all but `seed` and `cfg`."""

    seed: int
    steps: int
    cfg: float
    sampler: str
    width: int
    height: int
    clip_skip: int
    emphasis: Emphasis

    @property
    def company(self) -> tuple[object, ...]:
        """Requests with equal company can be drawn in one batch."""
        return (self.steps, self.sampler, self.width, self.height, self.clip_skip, self.emphasis)


def settle(request: Request, base: Base) -> tuple[Request, Settings]:
    """The request with the base's defaults filled in and names made exact. Raises UsageError on a wrong value."""
    settings = Settings(
        seed=_within("seed", request.seed, 0, 2**63 - 1),
        steps=_within("steps", request.steps, 1, MOST_STEPS),
        cfg=_cfg(default_cfg(base) if request.cfg is None else request.cfg),
        sampler=find_sampler(request.sampler),
        width=_side("width", base.resolution if request.width is None else request.width, base.vae_factor),
        height=_side("height", base.resolution if request.height is None else request.height, base.vae_factor),
        clip_skip=_within("clip skip", request.clip_skip, 1, text_layers(base)),
        emphasis=_emphasis(request.emphasis),
    )
    settled = replace(
        request,
        cfg=settings.cfg,
        sampler=settings.sampler,
        width=settings.width,
        height=settings.height,
        emphasis=settings.emphasis,
        compat=read_compat(request.compat),
    )
    return settled, settings


def default_cfg(base: Base) -> float:
    """The guidance that suits the base: 4 for the embedded one (measured in its trial), 7 for others."""
    return EMBEDDED_CFG if base.name == EMBEDDED else OTHER_CFG


def text_layers(base: Base) -> int:
    """How far back `clip_skip` may reach: the layers of the first text encoder."""
    return int(base.text_encoders[0].model.config.num_hidden_layers)


def _within(word: str, value: int, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{word} = {value!r} is not a whole number.")
    if not least <= value <= most:
        raise UsageError(f"{word} = {value} is not between {least} and {most}.")
    return value


def _side(word: str, value: int, factor: int) -> int:
    side = _within(word, value, LEAST_SIDE, GREATEST_SIDE)
    if side % factor:
        lower = max(LEAST_SIDE, side // factor * factor)
        raise UsageError(f"{word} = {side} is not a multiple of {factor}.", hint=f"Near: {lower} or {lower + factor}.")
    return side


def _cfg(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"cfg = {value!r} is not a number.")
    if not 0 <= value <= 100:
        raise UsageError(f"cfg = {value:g} is not between 0 and 100.")
    return float(value)


def _emphasis(value: str) -> Emphasis:
    for known in EMPHASES:
        if value.lower() == known:
            return known
    hint = did_you_mean(value, EMPHASES) or f"Known: {', '.join(EMPHASES)}."
    raise UsageError(f'emphasis "{value}" is unknown.', hint=hint)
