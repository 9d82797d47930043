"""Texts that cannot be written: half a pair of surrogates, which JSON can spell and UTF-8 cannot."""

from __future__ import annotations

import json
import re
from typing import Any

from fastapi import Request

from lorasmith.server.errors import FieldError

_SPELT = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


async def check_texts(request: Request) -> None:
    """Raise FieldError, naming the field, when a text of the body holds half a character."""
    if request.method not in ("POST", "PUT", "PATCH"):
        return
    if request.headers.get("content-type") == "application/octet-stream":
        return  # a file, on its way to the disk
    body = await request.body()
    if not _SPELT.search(body):
        return
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):  # what cannot be read is told where it is read
        return
    where = find_half(value)
    if where is not None:
        raise FieldError("holds half a character (a lone surrogate).", where=where, hint="Send whole characters.")


def find_half(value: Any) -> str | None:
    """Where in a JSON value a text, or a key, holds a lone surrogate: "hires.prompt", "styles.0"; None if nowhere."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        where, each = waiting.pop()
        if isinstance(each, str):
            if _SURROGATE.search(each):
                return where or "body"
        elif isinstance(each, dict):
            if any(_SURROGATE.search(key) for key in each):
                return where or "body"
            waiting += [(f"{where}.{key}" if where else key, inner) for key, inner in reversed(each.items())]
        elif isinstance(each, list):
            waiting += [(f"{where}.{index}" if where else str(index), inner) for index, inner in enumerate(each)]
    return None
