"""Arguments in one text or list: ``a=1 b=(0.9, 0.99)``."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

# A value in brackets, or words and commas up to the next key.
_PAIR = re.compile(r"\w+\s*=\s*(?:\([^)]*\)|\[[^]]*\]|[^\s,]+(?:,(?!\s*\w+\s*=)[^\s,]+)*)")


def read_pairs(value: Any) -> dict[str, Any]:
    """``["a=1", "b=True"]``, ``"a=1 b=True"`` or a table, as a table with Python's values."""
    if isinstance(value, str):
        value = _PAIR.findall(value[:10_000])
    if isinstance(value, Mapping):
        pairs = {str(key): each for key, each in value.items()}
    else:
        split = (str(each).partition("=") for each in value or ())
        pairs = {key.strip(): each.strip().rstrip(",") for key, _, each in split}
    return {key: literal(each) for key, each in pairs.items()}


def literal(value: Any) -> Any:
    """A text as the Python value that it spells, else the text."""
    if not isinstance(value, str) or len(value) > 10_000:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return value
