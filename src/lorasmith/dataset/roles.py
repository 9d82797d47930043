"""Which images carry the subject (primary) and which refine it (supporting)."""

from __future__ import annotations

from lorasmith.dataset.decisions import ROLES, Role
from lorasmith.dataset.folders import class_words


def folder_role(folder: str) -> Role | None:
    """The role that a folder's words name: "5_primary" -> "primary", "supporting" -> "supporting", else None."""
    words = (class_words(folder) or folder.replace("_", " ")).lower().split()
    named = [role for role in ROLES if role in words]
    return named[0] if len(named) == 1 else None
