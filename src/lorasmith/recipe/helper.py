"""The training adapter as a plan sees it: a file of which nothing but its header is read. Importable without torch."""

from __future__ import annotations

import math
from pathlib import Path

from lorasmith.bases.hub import cached_base, is_hub_id
from lorasmith.container import read_container
from lorasmith.errors import RecipeError


def count_numbers(name: str, root: Path) -> int:
    """How many numbers are in an adapter's file, beside `root` or in the hub's cache; 0 where there is none, or one
    that cannot be read, which training will tell."""
    if not name:
        return 0
    file: Path | None = root / Path(name).expanduser()
    if file is not None and not file.is_file():
        file = cached_base(name) if is_hub_id(name) else None
    if file is None:
        return 0
    try:
        header = read_container(file, RecipeError, "an adapter")
    except (RecipeError, OSError):
        return 0
    return sum(math.prod(entry.shape) for entry in header.tensors.values())
