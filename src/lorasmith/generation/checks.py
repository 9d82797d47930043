"""Whether a picture can be drawn as it is described: one check for whoever asks, before anything is drawn.

Of a base only its facts are asked, which may be known before it is loaded. Importable without torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from lorasmith.diffusion.limits import GREATEST_SIDE, LEAST_SIDE
from lorasmith.errors import PromptError, UsageError
from lorasmith.generation.base_facts import BaseFacts
from lorasmith.generation.spec import (
    PARAMETERS,
    PARTS,
    Hires,
    InitImage,
    PictureSpec,
)
from lorasmith.prompts.compatibility import read_compat


@dataclass(frozen=True, eq=False)
class SettledSpec(PictureSpec):
    """A spec with nothing left open: what was left to the base is the base's, names are exact."""

    cfg: float = 7.0
    width: int = 0
    height: int = 0
    init: InitImage | None = None
    hires_size: tuple[int, int] | None = None

    @property
    def company(self) -> tuple[object, ...]:
        """Pictures with equal company can be drawn in one batch, step by step together."""
        return (self.steps, self.sampler, self.schedule, self.width, self.height, self.hires_size, self.tiling)


def settle(spec: PictureSpec, facts: BaseFacts) -> SettledSpec:
    """The spec with the base's own filled in and names made exact; all facts must be known. Raises UsageError that
    names the field."""
    checked = check(spec, facts)
    values: dict[str, Any] = {each.name: getattr(checked, each.name) for each in fields(PictureSpec)}
    for field, own in (("cfg", facts.cfg), ("width", facts.resolution), ("height", facts.resolution)):
        if values[field] is None:
            values[field] = own
    return SettledSpec(**values, hires_size=None if checked.hires is None else final_size(checked, facts))


def check(spec: PictureSpec, facts: BaseFacts | None = None) -> PictureSpec:
    """The spec with names made exact, when it can be drawn as far as that is known. Raises UsageError that names the
    field."""
    facts = facts or BaseFacts()
    checked = replace(spec, **_checked_values(spec, ""))
    for name in PARTS:
        part = getattr(spec, name)
        if part is not None:
            checked = replace(checked, **{name: replace(part, **_checked_values(part, f"{name}."))})
    if checked.init is not None and checked.hires is not None:
        raise UsageError(
            "a picture cannot be drawn over another one and larger in a second pass at once.",
            hint="Draw over it at the larger size: give width and height instead of hires.",
            field="hires",
        )
    if facts.text_layers is not None and checked.clip_skip > facts.text_layers:
        raise UsageError(f"{checked.clip_skip} is not between 1 and {facts.text_layers}.", field="clip_skip")
    if checked.tiling and facts.tiles is False:
        raise UsageError("pictures of this base cannot be made to go on round their edges.", field="tiling")
    if isinstance(checked.init, InitImage):
        _check_mask(checked.init)
    final_size(checked, facts)
    return checked


def first_size(spec: PictureSpec, facts: BaseFacts) -> tuple[int, int] | None:
    """Width and height of the first pass; None while what is left to the base is not known. Raises UsageError."""
    sides = [facts.resolution if side is None else side for side in (spec.width, spec.height)]
    for field, side in zip(("width", "height"), sides, strict=True):
        if side is not None:
            _check_side(field, side, facts.factor)
    width, height = sides
    return None if width is None or height is None else (width, height)


def final_size(spec: PictureSpec, facts: BaseFacts) -> tuple[int, int] | None:
    """Width and height of the finished picture; None while what is left to the base is not known. Raises UsageError.

    A scaled side is rounded down to a multiple of the base's factor, a given one must be one.
    """
    first = first_size(spec, facts)
    if first is None or spec.hires is None:
        return first
    hires, (width, height), factor = spec.hires, first, facts.factor
    if hires.width is None and hires.height is None:
        sides = [int(side * hires.scale + 1e-6) // factor * factor for side in first]
    else:
        sides = [
            hires.width or int(width * (hires.height or 0) / height + 1e-6) // factor * factor,
            hires.height or int(height * (hires.width or 0) / width + 1e-6) // factor * factor,
        ]
    for name, side, least in zip(("width", "height"), sides, first, strict=True):
        # What is wrong is what was given: a side, or else the scale.
        field = f"hires.{name}" if _is_given(hires) else "hires.scale"
        if not LEAST_SIDE <= side <= GREATEST_SIDE:
            raise UsageError(f"{name} {side} is not between {LEAST_SIDE} and {GREATEST_SIDE}.", field=field)
        _check_side(field, side, factor)
        if side < least:
            raise UsageError(f"{side} is less than the first pass's {least}.", field=field)
    return sides[0], sides[1]


def _is_given(hires: Hires) -> bool:
    return hires.width is not None or hires.height is not None


def _check_side(field: str, side: int, factor: int) -> None:
    if not LEAST_SIDE <= side <= GREATEST_SIDE:
        raise UsageError(f"{side} is not between {LEAST_SIDE} and {GREATEST_SIDE}.", field=field)
    if side % factor:
        lower = max(LEAST_SIDE, side // factor * factor)
        raise UsageError(
            f"{side} is not a multiple of {factor}.", hint=f"Near: {lower} or {lower + factor}.", field=field
        )


def _checked_values(part: Any, prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for each in fields(part):
        known = PARAMETERS.get(f"{prefix}{each.name}")
        if known is None:
            continue
        value = getattr(part, each.name)
        values[each.name] = _checked_compat(value) if known.name == "compat" else known.checked(value)
    if prefix == "hires.":
        values["steps"] = values["steps"] or None
    return values


def _checked_compat(value: object) -> object:
    try:
        return read_compat(value)
    except PromptError as error:
        raise UsageError(error.message, hint=error.hint, field="compat") from None


def _check_mask(given: InitImage) -> None:
    if given.mask is not None and given.mask.size != given.image.size:
        raise UsageError(
            f"the mask is {given.mask.width}x{given.mask.height}, its picture {given.image.width}x"
            f"{given.image.height}.",
            where="mask",
            hint="Both must have one size.",
        )
