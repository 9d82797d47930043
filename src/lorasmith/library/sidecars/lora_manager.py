"""`name.metadata.json` of ComfyUI-Lora-Manager: its own keys around a version as Civitai gives it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lorasmith.library.sidecars import civitai_helper
from lorasmith.library.sidecars.sidecar import SidecarFacts
from lorasmith.library.sidecars.values import hash_of, plain_text, strength_of, table_of, text_of, texts_of

SUFFIX = ".metadata.json"
_MATURE = 4
"""A level of R or more (`preview_nsfw_level`, bits)."""


def read(table: Mapping[str, Any]) -> SidecarFacts:
    """What such a file says; its `usage_tips` are a table inside a text."""
    version = civitai_helper.read(table_of(table.get("civitai")))
    tips = read_tips(table)
    level = table.get("preview_nsfw_level")
    base = text_of(table.get("base_model"))
    return SidecarFacts(
        triggers=version.triggers,
        tags=texts_of(table.get("tags")) or version.tags,
        title=text_of(table.get("model_name")) or version.title,
        base=version.base if base.lower() in ("", "unknown") else base,
        description=plain_text(table.get("modelDescription")) or version.description,
        notes=text_of(table.get("notes")),
        strength=strength_of(tips.get("strength")),
        favourite=table["favorite"] if isinstance(table.get("favorite"), bool) else None,
        mature=version.mature or (isinstance(level, int) and level >= _MATURE),
        sha256=hash_of(table.get("sha256"), 64) or version.sha256,
        autov3=hash_of(table.get("autov3"), 12) or version.autov3,
        hub=version.hub,
    )


def read_tips(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """`usage_tips`, however it is stored; empty where it cannot be read."""
    tips = table.get("usage_tips")
    if isinstance(tips, str):
        try:
            tips = json.loads(tips or "{}")
        except (ValueError, RecursionError):
            return {}
    return table_of(tips)


def values(facts: SidecarFacts, before: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that say this, in a file that says `before`; those that would be empty are left as they are."""
    said: dict[str, Any] = {
        "model_name": facts.title,
        "base_model": facts.base,
        "sha256": facts.sha256,
        "autov3": facts.autov3,
        "notes": facts.notes,
        "tags": list(facts.tags),
        "modelDescription": facts.description,
    }
    said = {key: value for key, value in said.items() if value not in ("", None, [])}
    if facts.favourite is not None:
        said["favorite"] = facts.favourite
    if facts.strength is not None:
        said["usage_tips"] = json.dumps(dict(read_tips(before)) | {"strength": facts.strength})
    if facts.triggers:
        said["civitai"] = dict(table_of(before.get("civitai"))) | {"trainedWords": list(facts.triggers)}
    return said
