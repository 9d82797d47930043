"""What reading another trainer's recipe gives: values of `[recipe]`, what was left out, and what should be known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class LeftOut:
    """A setting that could not be taken over, and why."""

    key: str
    value: Any
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"key": self.key, "value": self.value, "reason": self.reason}


@dataclass
class Imported:
    """`values` are nested as `[recipe]` has them; `source` says whose words were read."""

    source: str
    values: dict[str, Any] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The stable document."""
        left = [each.as_json() for each in self.left_out]
        return {"source": self.source, "recipe": self.values, "left_out": left, "notes": self.notes}

    def put(self, path: str, value: Any) -> None:
        """Set the value of a dotted key of `[recipe]`."""
        table = self.values
        *tables, key = path.split(".")
        for name in tables:
            table = table.setdefault(name, {})
        table[key] = value

    def get(self, path: str, default: Any = None) -> Any:
        """The value of a dotted key."""
        return value_of(self.values, path, default)

    def drop(self, key: str, value: Any, reason: str) -> None:
        """Tell that a setting is left out."""
        self.left_out.append(LeftOut(key, value, reason))

    def take(self, path: str, key: str, value: Any, convert: Callable[[Any], Any]) -> None:
        """Set a converted value, or list it as left out because it is not of the expected kind."""
        try:
            self.put(path, convert(value))
        except (ValueError, TypeError, OverflowError):
            self.drop(key, value, "not a value that is known here")


def value_of(values: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """The value of a dotted key of nested tables; `default` when it is not set."""
    found: Any = values
    for name in path.split("."):
        if not isinstance(found, dict) or name not in found:
            return default
        found = found[name]
    return found


def whole(value: Any) -> int:
    """A whole number, also written as text or as 4.0. Raises ValueError."""
    number = float(value)
    if isinstance(value, bool) or number != int(number):
        raise ValueError
    return int(number)


def at_least_one(value: Any) -> int:
    """A whole number above 0. Raises ValueError."""
    found = whole(value)
    if found < 1:
        raise ValueError
    return found


def number(value: Any) -> float:
    """A finite number. Raises ValueError."""
    found = float(value)
    if isinstance(value, bool) or found != found or found in (float("inf"), float("-inf")):
        raise ValueError
    return found


def flag(value: Any) -> bool:
    """true or false, also written as text. Raises ValueError."""
    words = {"true": True, "1": True, "false": False, "0": False, "none": False, "": False}
    return words[str(value).strip().lower()] if str(value).strip().lower() in words else _no()


def text(value: Any) -> str:
    """Text as it is. Raises ValueError for anything else."""
    return value if isinstance(value, str) else _no()


def sides(value: Any) -> list[int]:
    """[width, height] from 512, "512", "512,768", "(512, 768)" or a list. Raises ValueError."""
    if isinstance(value, str):
        value = [part for part in value.strip("()[] ").replace("x", ",").split(",") if part.strip()]
    found = [whole(part) for part in value] if isinstance(value, list | tuple) else [whole(value)]
    if len(found) not in (1, 2):
        raise ValueError
    return [found[0], found[-1]]


def _no() -> Any:
    raise ValueError
