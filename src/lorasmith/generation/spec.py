"""A picture's description: everything that decides it, each field with its range, default and names in one place.

Whoever asks for pictures, by command, by either HTTP interface, on the page, along a grid's axis or in a picture's own
text, gives a `PictureSpec`, and takes ranges and defaults from `PARAMETERS`. Importable without torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lorasmith.diffusion.limits import GREATEST_SIDE, LEAST_SIDE, MOST_STEPS
from lorasmith.diffusion.samplers import SAMPLERS
from lorasmith.diffusion.sigmas import SCHEDULE_NAMES
from lorasmith.generation.parameters import Parameter, parameter, parameters_of
from lorasmith.prompts.compatibility import Compat

if TYPE_CHECKING:
    from PIL import Image

GREATEST_SEED = 2**63 - 1
GREATEST_RANDOM_SEED = 2**32
"""Seeds below it can be given to other tools, too."""
Emphasis = Literal["original", "no norm", "none"]
Resize = Literal["stretch", "crop", "fill"]
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
PIXEL_UPSCALERS: dict[str, str] = {"Lanczos": "LANCZOS", "Bicubic": "BICUBIC", "Nearest": "NEAREST"}
UPSCALERS: tuple[str, ...] = (*LATENT_UPSCALERS, *PIXEL_UPSCALERS)
_OF_BASE = "the base's own"


@dataclass(frozen=True)
class Variation:
    """A second seed whose noise is mixed in; `strength` 0 is the first seed's picture, 1 the second's."""

    # Not 0, as a picture's own seed: of a seed's own noise there is no variation.
    seed: int = parameter(
        1,
        least=0,
        most=GREATEST_SEED,
        option="variation",
        infotext="Variation seed",
        help="The second seed, whose noise is mixed in.",
    )
    strength: float = parameter(
        0.0,
        least=0,
        most=1,
        step=0.05,
        option="variation",
        infotext="Variation seed strength",
        help="How much of the second seed's noise is mixed in.",
    )


@dataclass(frozen=True, kw_only=True)
class Init:
    """How a picture is drawn over another one; which one, the two forms of it say."""

    strength: float = parameter(
        0.75,
        least=0,
        most=1,
        step=0.05,
        option="strength",
        infotext="Denoising strength",
        help="How much is drawn anew.",
    )
    resize: Resize = parameter(
        "crop",
        option="resize",
        help="How a start of another shape is made the picture's: crop, stretch or fill.",
    )

    def as_json(self) -> dict[str, Any]:
        """Every field by its name, pictures by how they are found again."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class InitImage(Init):
    """A picture to start from. Two are equal when their pixels and settings are.

    `mask`, where it is white, is what is drawn anew (the rest stays to the pixel). `source` and `mask_source` are the
    files they came from, kept to draw the picture again.
    """

    image: Image.Image
    mask: Image.Image | None = None
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


@dataclass(frozen=True, kw_only=True)
class StoredInit(Init):
    """A picture to start from, and its mask, by the hashes that somebody keeps their files under."""

    image: str
    mask: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Every field by its name."""
        return {"image": self.image, "mask": self.mask, "strength": self.strength, "resize": self.resize}


@dataclass(frozen=True)
class Hires:
    """A second pass at a larger size: `scale` times the first, or `width` and `height` (one of them keeps the shape).

    `prompt` and `negative`, when not None, are the second pass's own.
    """

    scale: float = parameter(
        2.0,
        least=1,
        most=8,
        step=0.25,
        option="hires",
        infotext="Hires upscale",
        help="How many times larger than the first pass.",
    )
    width: int | None = parameter(
        None,
        least=LEAST_SIDE,
        most=GREATEST_SIDE,
        step=8,
        unset="by the scale",
        option="hires",
        help="Width of the second pass in pixels; goes before the scale.",
    )
    height: int | None = parameter(
        None,
        least=LEAST_SIDE,
        most=GREATEST_SIDE,
        step=8,
        unset="by the scale",
        option="hires",
        help="Height of the second pass in pixels; goes before the scale.",
    )
    steps: int | None = parameter(
        None,
        least=0,
        most=MOST_STEPS,
        unset="as the first pass",
        infotext="Hires steps",
        help="Steps of the second pass, 0 for as many as the first takes.",
    )
    denoising: float = parameter(
        0.7,
        least=0,
        most=1,
        step=0.05,
        option="denoising",
        infotext="Denoising strength",
        help="How much the second pass draws anew.",
    )
    upscaler: str = parameter(
        "Latent",
        choices=UPSCALERS,
        option="upscaler",
        infotext="Hires upscaler",
        help="Before the second pass: Latent, Latent (bicubic) ..., Lanczos, Bicubic, Nearest.",
    )
    prompt: str | None = parameter(
        None, unset="the first pass's", infotext="Hires prompt", help="The second pass's own prompt."
    )
    negative: str | None = parameter(
        None, unset="the first pass's", infotext="Hires negative prompt", help="The second pass's own negative prompt."
    )

    def as_json(self) -> dict[str, Any]:
        """Every field by its name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, eq=False)
class PictureSpec:
    """One picture to draw. Two are equal when all their fields are, settled (`generation.checks`) or not.

    Adapters are called in the prompt: ``<lora:NAME:0.8>`` (U1). None is what the base or the sampler has of its own;
    `base` names what to draw on where there is a choice, and means nothing to those that draw on one base.
    """

    prompt: str = parameter("", help="What to draw; <lora:NAME:0.8> calls an adapter.")
    negative: str = parameter("", label="Negative prompt", help="What to guide away from.")
    seed: int = parameter(
        0, least=0, most=GREATEST_SEED, infotext="Seed", help="The number that the noise is made from."
    )
    steps: int = parameter(20, least=1, most=MOST_STEPS, infotext="Steps", help="Sampling steps.")
    cfg: float | None = parameter(
        None, least=0, most=100, step=0.5, unset=_OF_BASE, label="Guidance", infotext="CFG scale", help="Guidance."
    )
    sampler: str = parameter(
        "DDIM",
        choices=tuple(SAMPLERS),
        infotext="Sampler",
        help="By its A1111 name: DDIM, Euler a, Euler, DPM++ 2M, DPM++ SDE, UniPC, LCM, Heun ...",
    )
    width: int | None = parameter(
        None, least=LEAST_SIDE, most=GREATEST_SIDE, step=8, unset=_OF_BASE, option="size", help="Width in pixels."
    )
    height: int | None = parameter(
        None, least=LEAST_SIDE, most=GREATEST_SIDE, step=8, unset=_OF_BASE, option="size", help="Height in pixels."
    )
    clip_skip: int = parameter(
        1, least=1, most=24, infotext="Clip skip", help="2 takes the text encoder's last but one layer."
    )
    emphasis: Emphasis = parameter(
        "original",
        infotext="Emphasis",
        help="How weights such as (word:1.2) act on the text: original, no norm or none.",
    )
    compat: Compat = parameter(
        None,
        choices=("a1111",),
        unset="the documented language",
        help="a1111 reads the prompt as that tool does where it differs from its documentation.",
    )
    schedule: str = parameter(
        "Automatic",
        choices=SCHEDULE_NAMES,
        infotext="Schedule type",
        help="How noise falls: Automatic, Uniform, Karras, Exponential, SGM Uniform ...",
    )
    eta: float | None = parameter(
        None,
        least=0,
        most=10,
        step=0.05,
        unset="the sampler's own",
        infotext="Eta",
        help="Fresh noise that an ancestral sampler, or DDIM, puts back.",
    )
    variation: Variation | None = None
    init: Init | None = None
    hires: Hires | None = None
    tiling: bool = parameter(False, infotext="Tiling", help="Let opposite edges meet.")
    base: str | None = parameter(None, unset="the default", help="The base to draw on, by its name.")

    def as_json(self) -> dict[str, Any]:
        """Every field by its name but for the base, which documents tell beside, with its hash."""
        values = {each.name: getattr(self, each.name) for each in fields(PictureSpec) if each.name != "base"}
        if self.variation is not None:
            values["variation"] = {"seed": self.variation.seed, "strength": self.variation.strength}
        if self.init is not None:
            values["init"] = self.init.as_json()
        if self.hires is not None:
            values["hires"] = self.hires.as_json()
        return values

    def _key(self) -> tuple[object, ...]:
        return tuple(getattr(self, each.name) for each in fields(PictureSpec))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PictureSpec) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


PARAMETERS: Mapping[str, Parameter] = parameters_of(PictureSpec)
"""Every field by its dotted name, the parts' own among them (`variation.seed`, `init.strength`, `hires.scale`)."""
PARTS: Mapping[str, type[Variation] | type[Init] | type[Hires]] = {"variation": Variation, "init": Init, "hires": Hires}


def hash_pixels(image: Image.Image) -> str:
    """sha256 over mode, size and pixels."""
    return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()


def read_spec(values: Mapping[str, Any]) -> PictureSpec | None:
    """The spec of a document (`PictureSpec.as_json`), of whatever version; None when it is not in our form.

    Types are looked at, ranges are not. A picture to start from by path is left out: its pixels are not in the
    document.
    """
    if not isinstance(values.get("prompt"), str):
        return None
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in PARTS:
            if value:
                part = _read_part(name, value)
                if part is None:
                    return None
                found[name] = part
        elif name in PARAMETERS:
            if not _is_kind(PARAMETERS[name], value):
                return None
            found[name] = value
    if isinstance(found.get("init"), Init) and not isinstance(found["init"], StoredInit):
        found["init"] = None
    return PictureSpec(**found)


def _read_part(name: str, value: Any) -> Variation | Init | Hires | None:
    if not isinstance(value, Mapping):
        return None
    if name == "init":
        known = {key: value[key] for key in ("strength", "resize") if key in value}
        if isinstance(value.get("image"), str):
            return StoredInit(image=value["image"], mask=value.get("mask"), **known)
        return Init(**known)
    if not all(f"{name}.{key}" in PARAMETERS and _is_kind(PARAMETERS[f"{name}.{key}"], value[key]) for key in value):
        return None
    return PARTS[name](**value)


def _is_kind(known: Parameter, value: Any) -> bool:
    if value is None:
        return known.unset is not None
    if known.kind == "boolean":
        return isinstance(value, bool)
    if known.kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if known.kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def _spell(path: Path | None) -> str | None:
    return None if path is None else str(path)


EMPHASES: tuple[Emphasis, ...] = get_args(Emphasis)
RESIZES: tuple[Resize, ...] = get_args(Resize)
