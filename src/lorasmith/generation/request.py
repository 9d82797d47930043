"""A request for one picture, and what is checked before anything is drawn."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from PIL import Image

from lorasmith.bases.base import Base
from lorasmith.diffusion.names import find_sampler, find_schedule
from lorasmith.errors import UsageError, did_you_mean
from lorasmith.project import EMBEDDED
from lorasmith.prompts.compatibility import Compat, read_compat

Name = TypeVar("Name", bound=str)
Emphasis = Literal["original", "no norm", "none"]
EMPHASES: tuple[Emphasis, ...] = ("original", "no norm", "none")
LEAST_SIDE, GREATEST_SIDE = 64, 4096
MOST_STEPS = 1000
GREATEST_SEED = 2**63 - 1
EMBEDDED_CFG, OTHER_CFG = 1.75, 7.0
Resize = Literal["stretch", "crop", "fill"]
RESIZES: tuple[Resize, ...] = ("stretch", "crop", "fill")
#: How the latents of a hires pass are made larger, by name: torch's interpolation, antialiased or not.
LATENT_UPSCALERS: dict[str, tuple[str, bool]] = {
    "Latent": ("bilinear", False),
    "Latent (antialiased)": ("bilinear", True),
    "Latent (bicubic)": ("bicubic", False),
    "Latent (bicubic antialiased)": ("bicubic", True),
    "Latent (nearest)": ("nearest", False),
    "Latent (nearest-exact)": ("nearest-exact", False),
}
#: How the pixels of a hires pass are made larger, by name: Pillow's filter.
PIXEL_UPSCALERS: dict[str, Image.Resampling] = {
    "Lanczos": Image.Resampling.LANCZOS,
    "Bicubic": Image.Resampling.BICUBIC,
    "Nearest": Image.Resampling.NEAREST,
}
UPSCALERS: tuple[str, ...] = (*LATENT_UPSCALERS, *PIXEL_UPSCALERS)


@dataclass(frozen=True, eq=False)
class InitImage:
    """A picture to start from. Two are equal when their pixels and settings are.

    `strength` 0..1 is how much is drawn anew; `mask`, where it is white, what is drawn anew (the rest stays to the
    pixel); `resize` is how another shape becomes the request's: stretched, cropped, or filled up at the edges.
    `source` and `mask_source` are the files they came from, kept to draw the picture again.
    """

    image: Image.Image
    strength: float = 0.75
    mask: Image.Image | None = None
    resize: Resize = "crop"
    source: Path | None = None
    mask_source: Path | None = None

    @cached_property
    def image_hash(self) -> str:
        """sha256 of the size and the RGB pixels."""
        return hash_pixels(self.image.convert("RGB"))

    @cached_property
    def mask_hash(self) -> str | None:
        """sha256 of the mask's size and grey values."""
        return None if self.mask is None else hash_pixels(self.mask.convert("L"))

    def as_json(self) -> dict[str, Any]:
        """The picture by path and hash, not by its pixels."""
        mask = None if self.mask is None else {"path": _spell(self.mask_source), "hash": self.mask_hash}
        return {
            "path": _spell(self.source),
            "hash": self.image_hash,
            "strength": self.strength,
            "mask": mask,
            "resize": self.resize,
        }

    def _key(self) -> tuple[object, ...]:
        return (self.image_hash, self.mask_hash, self.strength, self.resize)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InitImage) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True)
class Variation:
    """A second seed whose noise is mixed in; `strength` 0 is the first seed's picture, 1 the second's."""

    seed: int
    strength: float


@dataclass(frozen=True)
class Hires:
    """A second pass at a larger size.

    The size is `scale` times the request's, or `width` and `height` (one of them keeps the shape). `steps` are the
    second pass's, the request's when None; `denoising` 0..1 is how much is drawn anew; `upscaler` is one of
    `UPSCALERS`; `prompt` and `negative`, when not None, are the second pass's own.
    """

    scale: float = 2.0
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    denoising: float = 0.7
    upscaler: str = "Latent"
    prompt: str | None = None
    negative: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Every field by its name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def hash_pixels(image: Image.Image) -> str:
    """sha256 over mode, size and pixels."""
    return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()


def _spell(path: Path | None) -> str | None:
    return None if path is None else str(path)


@dataclass(frozen=True)
class Request:
    """One picture to draw. Adapters are called in the prompt: ``<lora:NAME:0.8>`` (U1).

    `cfg`, `width` and `height` default to the base's own; sizes are pixels. `emphasis` is how weights act on the
    text's vectors; `compat` is the prompt's dialect (`lorasmith.prompts.compatibility`). `schedule` is how the
    sampler's noise levels fall (`lorasmith.diffusion.names.SCHEDULES`); `eta` how much noise an ancestral
    sampler, or DDIM, puts back (None: the sampler's own, 1 and 0). `tiling` makes the edges meet.
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
    schedule: str = "Automatic"
    eta: float | None = None
    variation: Variation | None = None
    init: InitImage | None = None
    hires: Hires | None = None
    tiling: bool = False

    def as_json(self) -> dict[str, Any]:
        """Every field by its name; what a picture is started from by path and hash."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.variation is not None:
            values["variation"] = {"seed": self.variation.seed, "strength": self.variation.strength}
        if self.init is not None:
            values["init"] = self.init.as_json()
        if self.hires is not None:
            values["hires"] = self.hires.as_json()
        return values


@dataclass(frozen=True)
class Settings:
    """A request's numbers with nothing left open."""

    seed: int
    steps: int
    cfg: float
    sampler: str
    schedule: str
    eta: float | None
    width: int
    height: int
    clip_skip: int
    emphasis: Emphasis
    tiling: bool = False
    hires_size: tuple[int, int] | None = None

    @property
    def company(self) -> tuple[object, ...]:
        """Requests with equal company can be drawn in one batch, step by step together."""
        return (self.steps, self.sampler, self.schedule, self.width, self.height, self.hires_size, self.tiling)


def settle(request: Request, base: Base) -> tuple[Request, Settings]:
    """The request with the base's defaults filled in and names made exact. Raises UsageError on a wrong value."""
    if request.init is not None and request.hires is not None:
        raise UsageError(
            "a picture cannot be drawn over another one and larger in a second pass at once.",
            hint="Draw over it at the larger size: give width and height instead of hires.",
        )
    factor = base.vae_factor
    width = _side("width", base.resolution if request.width is None else request.width, factor)
    height = _side("height", base.resolution if request.height is None else request.height, factor)
    settings = Settings(
        seed=_within("seed", request.seed, 0, GREATEST_SEED),
        steps=_within("steps", request.steps, 1, MOST_STEPS),
        cfg=_number("cfg", default_cfg(base) if request.cfg is None else request.cfg, 0, 100),
        sampler=find_sampler(request.sampler),
        schedule=find_schedule(request.schedule),
        eta=None if request.eta is None else _number("eta", request.eta, 0, 1),
        width=width,
        height=height,
        clip_skip=_within("clip skip", request.clip_skip, 1, text_layers(base)),
        emphasis=_known("emphasis", request.emphasis, EMPHASES),
        tiling=bool(request.tiling),
        hires_size=None if request.hires is None else _hires_size(request.hires, width, height, factor),
    )
    settled = replace(
        request,
        cfg=settings.cfg,
        sampler=settings.sampler,
        schedule=settings.schedule,
        eta=settings.eta,
        width=width,
        height=height,
        emphasis=settings.emphasis,
        compat=read_compat(request.compat),
        variation=None if request.variation is None else _variation(request.variation),
        init=None if request.init is None else _init(request.init),
        hires=None if request.hires is None else _hires(request.hires),
    )
    return settled, settings


def _variation(given: Variation) -> Variation:
    _within("variation seed", given.seed, 0, GREATEST_SEED)
    return replace(given, strength=_number("variation strength", given.strength, 0, 1))


def _init(given: InitImage) -> InitImage:
    _known("resize", given.resize, RESIZES)
    if given.mask is not None and given.mask.size != given.image.size:
        raise UsageError(
            f"the mask is {given.mask.width}x{given.mask.height}, its picture {given.image.width}x"
            f"{given.image.height}.",
            where="mask",
            hint="Both must have one size.",
        )
    _number("strength", given.strength, 0, 1)
    return given


def _hires(given: Hires) -> Hires:
    if given.steps is not None:
        _within("hires steps", given.steps, 1, MOST_STEPS)
    return replace(
        given,
        denoising=_number("hires denoising", given.denoising, 0, 1),
        upscaler=_known("upscaler", given.upscaler, UPSCALERS),
    )


def _hires_size(given: Hires, width: int, height: int, factor: int) -> tuple[int, int]:
    """The second pass's size: a scaled side is rounded down to a multiple of `factor`, a given one must be one."""
    if given.width is None and given.height is None:
        scale = _number("hires scale", given.scale, 1, 8)
        sides = [int(side * scale + 1e-6) // factor * factor for side in (width, height)]
    else:
        sides = [
            given.width or int(width * (given.height or 0) / height + 1e-6) // factor * factor,
            given.height or int(height * (given.width or 0) / width + 1e-6) // factor * factor,
        ]
    for word, side, least in zip(("hires width", "hires height"), sides, (width, height), strict=True):
        if _side(word, side, factor) < least:
            raise UsageError(f"{word} = {side} is less than the first pass's {least}.")
    return sides[0], sides[1]


def default_cfg(base: Base) -> float:
    """The guidance that suits the base: 1.75 for the embedded one (docs/log.md), 7 for others."""
    return EMBEDDED_CFG if base.name == EMBEDDED else OTHER_CFG


def text_layers(base: Base) -> int:
    """How far back `clip_skip` may reach: the layers of the first text encoder."""
    return base.prompt_encoder.most_clip_skip


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


def _number(word: str, value: float, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{word} = {value!r} is not a number.")
    if not least <= value <= most:
        raise UsageError(f"{word} = {value:g} is not between {least:g} and {most:g}.")
    return float(value)


def _known(word: str, value: str, names: Sequence[Name]) -> Name:
    for known in names:
        if str(value).lower() == known.lower():
            return known
    hint = did_you_mean(str(value), names) or f"Known: {', '.join(names)}."
    raise UsageError(f'{word} "{value}" is unknown.', hint=hint)
