"""Bases that are called by a name or a hash: the faces tell who knows where they lie, for that is a user's library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Finder = Callable[[str], Path | None]
"""Where the base lies that is called so; None where nobody knows it."""


def _nobody(_: str) -> Path | None:
    return None


_finder: Finder = _nobody


def ask_for_bases(finder: Finder) -> None:
    """From now on names that are no path are looked up there, in this process."""
    global _finder
    _finder = finder


def known_base(name: str) -> Path | None:
    """Where a base lies that is called by its name, alias or hash. A name with a folder in it is a path, or a hub's."""
    return None if "/" in name or "\\" in name or not name else _finder(name)
