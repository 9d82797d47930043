"""Which of that API's fields means which of a picture's, and where its defaults differ on purpose.

Sources of the defaults: the A1111 web UI, modules/processing.py (StableDiffusionProcessing and its two kinds) and
modules/api/models.py. What is not said here is as the picture's parameter says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, create_model

from lorasmith.generation.parameters import Parameter
from lorasmith.generation.spec import PARAMETERS


@dataclass(frozen=True)
class Theirs:
    """One of their fields: `name` there, `field` of ours, and the default, least value and reason where they differ.

    `kind` is given where theirs is another type than ours.
    """

    name: str
    field: str
    default: Any = None
    least: float | None = None
    why: str | None = None
    kind: Any = None

    @property
    def known(self) -> Parameter:
        return PARAMETERS[self.field]

    @property
    def own_default(self) -> Any:
        """The default there."""
        return self.known.default if self.why is None else self.default


_RANDOM = "-1 asks for a random one"
_ZERO = "0 means that it is not given"
_EMPTY = "an empty text means that it is not given"
DRAWING: tuple[Theirs, ...] = (
    Theirs("prompt", "prompt"),
    Theirs("negative_prompt", "negative"),
    Theirs("seed", "seed", -1, -1, _RANDOM),
    Theirs("subseed", "variation.seed", -1, -1, _RANDOM),
    Theirs("subseed_strength", "variation.strength"),
    Theirs("steps", "steps", 50, why="StableDiffusionProcessing.steps"),
    Theirs("cfg_scale", "cfg", 7.0, why="StableDiffusionProcessing.cfg_scale"),
    Theirs("width", "width", 512, why="StableDiffusionProcessing.width"),
    Theirs("height", "height", 512, why="StableDiffusionProcessing.height"),
    Theirs("tiling", "tiling"),
    Theirs("eta", "eta"),
    Theirs("sampler_name", "sampler", None, why="sampler_index goes before, and then Euler", kind=str | None),
    Theirs("sampler_index", "sampler", "Euler", why="the API's own default", kind=str),
    Theirs("scheduler", "schedule", None, why="the sampler's own", kind=str | None),
)
TXT2IMG: tuple[Theirs, ...] = (
    Theirs("denoising_strength", "hires.denoising"),
    Theirs("hr_scale", "hires.scale"),
    Theirs("hr_upscaler", "hires.upscaler", "Latent", why='"None" is an upscaler there', kind=str),
    Theirs("hr_second_pass_steps", "hires.steps", 0, why=_ZERO),
    Theirs("hr_resize_x", "hires.width", 0, 0, _ZERO),
    Theirs("hr_resize_y", "hires.height", 0, 0, _ZERO),
    Theirs("hr_prompt", "hires.prompt", "", why=_EMPTY),
    Theirs("hr_negative_prompt", "hires.negative", "", why=_EMPTY),
)
IMG2IMG: tuple[Theirs, ...] = (
    Theirs("denoising_strength", "init.strength"),
    Theirs("resize_mode", "init.resize", 0, why="a number, and 0 is stretched", kind=int),
)
OPTIONS: tuple[Theirs, ...] = (
    Theirs("sd_model_checkpoint", "base", None, why="the server's", kind=str | None),
    Theirs("CLIP_stop_at_last_layers", "clip_skip", None, why="the option as it is set", kind=int | None),
    Theirs("emphasis", "emphasis", None, why="the option as it is set", kind=str | None),
)
EMPHASES: Mapping[str, str] = {"Original": "original", "No norm": "no norm", "None": "none", "Ignore": "none"}
RESIZES: tuple[str, ...] = ("stretch", "crop", "fill", "stretch")
"""By `resize_mode`; the last one is latent upscaling there."""
_TYPES: Mapping[str, Any] = {"integer": int, "number": float, "boolean": bool, "text": str, "choice": str}


def their_model(rows: tuple[Theirs, ...], base: type[BaseModel]) -> Any:
    """A body with a field for each row."""
    fields = {row.name: (_type(row), _field(row)) for row in rows}
    made: Any = create_model("Theirs", __base__=base, **fields)  # type: ignore[call-overload]
    return made


def their_name(field: str, rows: tuple[Theirs, ...]) -> str:
    """What a field of ours is called there; its own name where it has none."""
    return next((row.name for row in rows if row.field == field), field)


def _type(row: Theirs) -> Any:
    kind = row.kind or _TYPES[row.known.kind]
    return kind | None if row.own_default is None and row.kind is None else kind


def _field(row: Theirs) -> Any:
    known = row.known
    if row.field == "init.resize":
        return Field(default=row.own_default, ge=0, le=len(RESIZES) - 1)
    limits: dict[str, Any] = {"ge": known.least if row.least is None else row.least, "le": known.most}
    return Field(default=row.own_default, **{name: value for name, value in limits.items() if value is not None})
