"""A picture's fields by name, those of its parts by dotted name (``hires.scale``), read from text and set.

Names, kinds and ranges are the parameters' own: a field that a picture gets is an axis of grids at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

from lorasmith.errors import UsageError, did_you_mean
from lorasmith.generation.grids.values import expand_text_ranges, read_numbers, read_whole_numbers
from lorasmith.generation.spec import PARAMETERS, Hires, PictureSpec, Variation

# What a part is before its first field is set. A picture to start from cannot be made up.
_BLANKS: Mapping[str, Any] = MappingProxyType({"variation": Variation(), "hires": Hires()})
_ELSEWHERE = frozenset({"prompt", "base", "compat"})  # two have axes of their own; axes swap words in one dialect
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


@cache
def field_names() -> tuple[str, ...]:
    """Every field that can be set from text, the picture's own before those of its parts."""
    return tuple(sorted(PARAMETERS.keys() - _ELSEWHERE, key=lambda name: (name.count("."), _places()[name])))


@cache
def other_names() -> Mapping[str, str]:
    """What forms and A1111's texts call these fields, in small letters, where that is no field's own name."""
    found: dict[str, list[str]] = {}
    for name in field_names():
        known = PARAMETERS[name]
        for word in dict.fromkeys((known.label, known.infotext or known.label)):
            found.setdefault(word.lower(), []).append(name)
    return MappingProxyType({word: names[0] for word, names in found.items() if len(names) == 1})


def read_field(path: str, values: list[str]) -> list[Any]:
    """Typed values of the field `path`; numbers may be ranges. Raises UsageError, also for an unknown field."""
    if path not in field_names():
        hint = did_you_mean(path, field_names()) or f"Known: {', '.join(field_names())}."
        raise UsageError(f'"{path}" is no field of a picture.', hint=hint)
    kind = PARAMETERS[path].kind
    if kind == "integer":
        return list(read_whole_numbers(path, values))
    if kind == "number":
        return list(read_numbers(path, values))
    if kind == "boolean":
        return [_read_switch(path, value) for value in values]
    if kind == "text":
        return values
    for value in values:
        if not value:
            raise UsageError(f"{path}: an empty value.")
    return expand_text_ranges(path, values)


def set_field(spec: PictureSpec, path: str, value: Any) -> PictureSpec:
    """The spec with one field changed, or one field of a part of it. Raises UsageError."""
    name, _, inner = path.partition(".")
    if not inner:
        return replace(spec, **{name: value})
    part: Any = getattr(spec, name)
    if part is None:
        part = _BLANKS.get(name)
    if part is None:
        raise UsageError(f"{path}: there is no picture to start from.", hint="Give the grid one first.")
    changed: Any = replace(part, **{inner: value})
    return replace(spec, **{name: changed})


@cache
def _places() -> Mapping[str, int]:
    return {name: place for place, name in enumerate(PARAMETERS)}


def _read_switch(path: str, text: str) -> bool:
    if text.lower() in (*_YES, *_NO):
        return text.lower() in _YES
    raise UsageError(f'{path} "{text}" is neither yes nor no.')
