"""A picture's spec as the records hold it, and as it is sent to what draws elsewhere: JSON, both ways.

The records call the picture to start from `start`; their indices look there.
"""

from __future__ import annotations

import json
from typing import Any

from lorasmith.errors import StorageError
from lorasmith.generation.spec import PictureSpec, read_spec

VERSION = 2
"""1, without a number: an empty prompt of the second pass meant the first pass's."""


def write_stored(spec: PictureSpec) -> str:
    """The spec as one JSON object. Raises ValueError for a start that is not stored: its pixels would be lost."""
    values = spec.as_json()
    start = values.pop("init")
    if start is not None and "image" not in start:
        raise ValueError("a picture to start from that is not stored cannot be written down")
    return json.dumps({"version": VERSION, **values, "start": start, "base": spec.base}, ensure_ascii=False)


def read_stored(text: str) -> PictureSpec:
    """The spec of a record of this version or an older one. Raises StorageError for what is none."""
    try:
        values: dict[str, Any] = json.loads(text)
        version = values.pop("version", 1)
        values["init"] = values.pop("start", None)
    except (ValueError, AttributeError, TypeError):
        raise StorageError(f"a record does not say what to draw: {text[:80]!r}.") from None
    if version == 1 and values.get("hires"):
        hires = dict(values["hires"])
        values["hires"] = {**hires, **{name: hires.get(name) or None for name in ("steps", "prompt", "negative")}}
    spec = read_spec(values)
    if spec is None:
        raise StorageError(f"a record does not say what to draw: {text[:80]!r}.")
    return spec
