"""Values of other tools' documents, which may be anything."""

from __future__ import annotations

import math


def integer(value: object) -> int | None:
    """A whole number, also where it is written as a float or as text; else None."""
    found = number(value) if not isinstance(value, int) else value
    if found is None or isinstance(value, bool) or found != int(found):
        return None
    return int(found)


def number(value: object) -> float | None:
    """A finite number, also where it is written as text; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
