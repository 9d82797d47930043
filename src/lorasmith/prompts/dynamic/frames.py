"""What reading a template keeps in mind: brackets that are open, variables that are text."""

from __future__ import annotations

from dataclasses import dataclass, field

from lorasmith.prompts.dynamic.nodes import Method, Node
from lorasmith.prompts.dynamic.notation import WEIGHT


@dataclass
class Macro:
    """A variable that is read anew at each use: its raw text."""

    text: str


@dataclass
class Frame:
    """An open form: a `{...}` that chooses, a `%{...}` that wraps, or the text itself. `end` is its last position."""

    kind: str
    end: int
    low: int = 1
    high: int | None = 1
    separator: str = ","
    method: Method | None = None
    parts: list[Node] = field(default_factory=list)
    options: list[Node] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    undo: list[tuple[str, Node | Macro | None]] = field(default_factory=list)


def start_option(text: str, at: int, frame: Frame) -> int:
    """Note the weight of an option that starts here; the position behind it."""
    match = WEIGHT.match(text, at, frame.end)
    assert match is not None  # every part of it is optional
    frame.weights.append(1.0 if match[1] is None else float(match[1]))
    return match.end()
