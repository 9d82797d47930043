"""How the server words a remedy: a request, a field of one. What it has no request for is said in plain words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from lorasmith.remedies import Action, Do, Give, Remedy, Set, plain_words

#: The requests of our own API that do what an action says.
REQUESTS: Mapping[Action, str] = MappingProxyType(
    {
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


def _literal(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
