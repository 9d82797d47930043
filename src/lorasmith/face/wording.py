"""How the library words a remedy: a call in Python. What it has no call for is said in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from lorasmith.bases.known import ask_for_bases
from lorasmith.remedies import Action, Do, Give, Remedy, Set, current_words, plain_words, speak

_PROJECT = "project."

#: The function of every action that the library has, and its arguments in their order: {} by position, else by name.
CALLS: Mapping[Action, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        Action.DRAW_ROUND: (f"{_PROJECT}draw_round", {}),
        Action.EXAMINE: (
            f"{_PROJECT}examine",
            {"snapshots": "snapshots=[{}]", "pictures": 'settings={{"pictures": {}}}'},
        ),
        Action.GENERATE: (
            "lorasmith.draw",
            {"prompt": "{}", "n": "n={}", "adapters": "adapters=[{}]", "out": "out={}"},
        ),
        Action.GRID: ("lorasmith.grid", {"prompt": "{}"}),
        Action.INSPECT: (f"{_PROJECT}inspect", {}),
        Action.KEEP: (f"{_PROJECT}keep", {"images": "{}"}),
        Action.NEW: (
            "lorasmith.create_project",
            {
                "project": "{}",
                "images": "images=[{}]",
                "subject": "subject={}",
                "name": "name={}",
                "trigger": "trigger={}",
            },
        ),
        Action.PLAN: (f"{_PROJECT}plan", {}),
        Action.SHOW_ADAPTER: ("lorasmith.open_adapter", {"adapter": "{}"}),
        Action.TAG: (f"{_PROJECT}tag", {"tagger": "tagger={}", "write": "write={}"}),
        Action.TIDY: (f"{_PROJECT}curate", {}),
        Action.TRAIN: (f"{_PROJECT}train", {"resume": "resume={}", "probe": "probe={}"}),
        Action.UNDO: (f"{_PROJECT}undo", {}),
    }
)


def speak_python() -> None:
    """Let remedies be calls, in a process that no other face runs."""
    if current_words() is plain_words:
        speak(call_words)
        ask_for_bases(_find_known_base)


def _find_known_base(name: str) -> Path | None:
    from lorasmith.library.lookup import find_known_base

    return find_known_base(name)


def call_words(remedy: Remedy) -> str:
    """``project.train(resume=True)``, ``base="doodle"``, ``{"rank": 16}``."""
    if isinstance(remedy, Do) and remedy.action in CALLS:
        function, patterns = CALLS[remedy.action]
        given = dict(remedy.arguments)
        if function.startswith(_PROJECT):
            given.pop("project", None)  # the one at hand
        if given.keys() <= patterns.keys():
            words = (pattern.format(_literal(given[name])) for name, pattern in patterns.items() if name in given)
            return f"{function}({', '.join(words)})"
    if isinstance(remedy, Give):
        return remedy.field if remedy.value is None else f"{remedy.field}={_literal(remedy.value)}"
    if isinstance(remedy, Set):
        return f'{{"{remedy.key}": {_literal(remedy.value)}}}'
    return plain_words(remedy)


def _literal(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_literal, value))
    if isinstance(value, str | Path):
        text = str(value).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'
    return str(value)
