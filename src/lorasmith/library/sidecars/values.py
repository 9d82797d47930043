"""Values out of other tools' tables, whatever was put there."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from typing import Any

LONGEST = 20_000
"""Characters of a text that are kept."""
_BREAK = re.compile(r"<\s*(?:br|/p|/h\d|/li|/div)[^>]{0,200}>", re.IGNORECASE)
_MARK = re.compile(r"<[^>]{0,2000}>")


def text_of(value: Any) -> str:
    """A text as it is, a whole number as digits, "" for anything else."""
    if isinstance(value, str):
        return value.strip()[:LONGEST]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def texts_of(value: Any) -> tuple[str, ...]:
    """The texts of a list (of a single text: that one), none twice; of tables their `name`."""
    each = value if isinstance(value, list) else [value]
    texts = (text_of(one.get("name") if isinstance(one, Mapping) else one) for one in each[:1000])
    return tuple(dict.fromkeys(text for text in texts if text))


def table_of(value: Any) -> Mapping[str, Any]:
    """A table, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def strength_of(value: Any) -> float | None:
    """A strength that may be meant: a number other than 0 (which A1111 writes for "none"), also as a text."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and 0 < abs(number) <= 100 and not isinstance(value, bool) else None


def plain_text(value: Any) -> str:
    """A description without its HTML."""
    text = _MARK.sub("", _BREAK.sub("\n", text_of(value)))
    lines = (" ".join(line.split()) for line in html.unescape(text).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def hash_of(value: Any, digits: int) -> str:
    """Hexadecimal digits in lower case, at least so many; "" for anything else."""
    text = text_of(value).lower().removeprefix("0x")
    return text if re.fullmatch(rf"[0-9a-f]{{{digits},64}}", text) else ""
