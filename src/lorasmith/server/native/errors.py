"""How the document of our API describes its errors."""

from __future__ import annotations

from typing import Any

from lorasmith.server.native.schemas import ErrorAnswer

Responses = dict[int | str, dict[str, Any]]
WRONG: Responses = {422: {"model": ErrorAnswer, "description": "A value is wrong, or the prompt is refused."}}
MISSING: Responses = {404: {"model": ErrorAnswer, "description": "There is no such thing."}}
BUSY: Responses = {
    429: {"model": ErrorAnswer, "description": "Too many pictures of this client wait."},
    503: {"model": ErrorAnswer, "description": "The queue is full, or the server is stopping."},
}
