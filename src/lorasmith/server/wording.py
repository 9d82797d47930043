"""How the server words a remedy: a request, a field of one; in the studio, a button and its screen. What it has neither
for is said in plain words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from lorasmith.remedies import Action, Do, Give, Remedy, Set, plain_words

#: The requests of our own API that do what an action says.
REQUESTS: Mapping[Action, str] = MappingProxyType(
    {
        Action.LIST_ADAPTERS: "GET /api/v1/adapters",
        Action.EXPAND: "POST /api/v1/prompts/expand",
        Action.GENERATE: "POST /api/v1/jobs",
        Action.GRID: "POST /api/v1/grids",
    }
)


def request_words(remedy: Remedy) -> str:
    """``POST /api/v1/prompts/expand``, ``"base": "doodle"``."""
    if isinstance(remedy, Do) and remedy.action in REQUESTS:
        return REQUESTS[remedy.action]
    if isinstance(remedy, Give):
        return f'"{remedy.field}"' if remedy.value is None else f'"{remedy.field}": {_literal(remedy.value)}'
    if isinstance(remedy, Set):
        return f'"{remedy.key}": {_literal(remedy.value)}'
    return plain_words(remedy)


#: The buttons of the studio's page that do what an action says, and their screens.
BUTTONS: Mapping[Action, tuple[str, str]] = MappingProxyType(
    {
        Action.ADD: ("Add images", "Images"),
        Action.ALTER: ("Make…", "Images"),
        Action.COLLAGE: ("Make…", "Images"),
        Action.CROP: ("Crop", "Images, one image"),
        Action.CUT: ("Make…", "Images"),
        Action.DRAW_ROUND: ("Second round…", "Images"),
        Action.EXPAND: ("the prompt is a template", "Draw"),
        Action.EXAMINE: ("Examine", "Exam"),
        Action.FETCH: ("Install", "Library"),
        Action.GENERATE: ("Draw", "Draw"),
        Action.GRID: ("Grid …", "Draw"),
        Action.INSPECT: ("Look what is wrong", "Images"),
        Action.KEEP: ("Keep", "Images"),
        Action.LABEL: ("Label…", "Images"),
        Action.LIST_ADAPTERS: ("Add an adapter", "Draw"),
        Action.NEW: ("From a path", "Projects"),
        Action.PLAN: ("Plan", "Recipe"),
        Action.REPEAT: ("Repeats…", "Images"),
        Action.SCAN: ("Scan", "Library"),
        Action.TAG: ("Tag the images", "Captions, Taggers"),
        Action.TIDY: ("Tidy", "Images"),
        Action.TRAIN: ("Start a run", "Run"),
        Action.UNDO: ("Undo", "Images"),
    }
)


def page_words(remedy: Remedy) -> str:
    """``"Start a run" (Run)``, ``set rank to 16 (Recipe)``; what the page has no button for, as what it does."""
    if isinstance(remedy, Do) and remedy.action in BUTTONS:
        button, screen = BUTTONS[remedy.action]
        return f'"{button}" ({screen})'
    if isinstance(remedy, Set):
        return f"set {remedy.key} to {_literal(remedy.value)} (Recipe)"
    if isinstance(remedy, Do) and remedy.action not in REQUESTS:
        return f"{remedy.action.value} (on the command line)"
    return request_words(remedy)


def _literal(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
