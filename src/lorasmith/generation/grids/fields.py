"""The spec's fields by name, those of its parts by dotted name (``hires.scale``), read from text and set.

The names and types are the spec's own: a field that it gets is an axis of grids at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lorasmith.errors import UsageError, did_you_mean
from lorasmith.generation.grids.values import expand_text_ranges, read_numbers, read_whole_numbers
from lorasmith.generation.spec import Hires, PictureSpec, Variation

# What a part is before its first field is set. A picture to start from cannot be made up.
_BLANKS: Mapping[str, Any] = MappingProxyType({"variation": Variation(seed=1, strength=0.0), "hires": Hires()})
_ELSEWHERE = frozenset({"prompt", "compat"})  # `prompt` has axes of its own
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


@cache
def field_names() -> tuple[str, ...]:
    """Every field that can be set from text, the spec's own before those of its parts."""
    return tuple(sorted(_kinds(), key=lambda name: name.count(".")))


def read_field(path: str, values: list[str]) -> list[Any]:
    """Typed values of the field `path`; numbers may be ranges. Raises UsageError, also for an unknown field."""
    kind = _kinds().get(path)
    if kind is None:
        hint = did_you_mean(path, field_names()) or f"Known: {', '.join(field_names())}."
        raise UsageError(f'"{path}" is no field of a picture.', hint=hint)
    if kind is int:
        return list(read_whole_numbers(path, values))
    if kind is float:
        return list(read_numbers(path, values))
    if kind is bool:
        return [_read_switch(path, value) for value in values]
    if path.endswith(("negative", "prompt")):
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
def _kinds() -> dict[str, Any]:
    """Each field's plain type: int, float, bool or str."""
    kinds: dict[str, Any] = {}
    for name, hint in _plain_hints(PictureSpec):
        if name in _ELSEWHERE:
            continue
        if is_dataclass(hint) and isinstance(hint, type):
            kinds.update({f"{name}.{inner}": kind for inner, kind in _plain_hints(hint) if kind in _READABLE})
        elif hint in _READABLE:
            kinds[name] = hint
    return kinds


_READABLE = (int, float, bool, str)


def _plain_hints(owner: Any) -> list[tuple[str, Any]]:
    hints = get_type_hints(owner)
    return [(field.name, _plain(hints[field.name])) for field in fields(owner)]


def _plain(hint: Any) -> Any:
    """A type without its "or None"; a choice of words is text."""
    if get_origin(hint) in (Union, UnionType):
        rest = [each for each in get_args(hint) if each is not NoneType]
        return _plain(rest[0]) if len(rest) == 1 else hint
    return str if get_origin(hint) is Literal else hint


def _read_switch(path: str, text: str) -> bool:
    if text.lower() in (*_YES, *_NO):
        return text.lower() in _YES
    raise UsageError(f'{path} "{text}" is neither yes nor no.')
