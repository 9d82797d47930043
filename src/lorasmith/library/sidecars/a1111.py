"""`name.json` of AUTOMATIC1111's web UI and its forks: what their card of an extra network is edited to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.library.sidecars.sidecar import SidecarFacts
from lorasmith.library.sidecars.values import plain_text, strength_of, text_of

SUFFIX = ".json"
_KEYS = ("description", "sd version", "activation text", "preferred weight", "negative text", "notes")


def read(table: Mapping[str, Any]) -> SidecarFacts:
    """What such a file says; nothing where none of its keys is there (any JSON may be called so)."""
    if not any(key in table for key in _KEYS):
        return SidecarFacts()
    trigger = text_of(table.get("activation text"))
    version = text_of(table.get("sd version"))
    return SidecarFacts(
        triggers=(trigger,) if trigger else (),
        base="" if version.lower() in ("unknown", "other") else version,
        description=plain_text(table.get("description")),
        notes=text_of(table.get("notes")),
        strength=strength_of(table.get("preferred weight")),
        negative=text_of(table.get("negative text")),
    )


def values(facts: SidecarFacts) -> dict[str, Any]:
    """The keys that say this; those that would be empty are left as they are."""
    said: dict[str, Any] = {
        "description": facts.description,
        "sd version": facts.base,
        "activation text": ", ".join(facts.triggers),
        "preferred weight": facts.strength,
        "negative text": facts.negative,
        "notes": facts.notes,
    }
    return {key: value for key, value in said.items() if value not in ("", None)}
