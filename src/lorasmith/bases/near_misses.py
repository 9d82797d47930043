"""Folders that look like a base of ours and are none: what they lack, or have otherwise."""

from __future__ import annotations

from lorasmith.bases.families import FAMILIES
from lorasmith.bases.families.evidence import Evidence
from lorasmith.bases.families.foreign import CLASSES
from lorasmith.errors import BaseError


def near_miss(evidence: Evidence, supported: str) -> BaseError | None:
    """The error for a folder whose transformer is of a class of ours, or names none; None for others. `supported` is
    what can be used instead, as a hint."""
    transformer = evidence.config("transformer")
    if transformer is None:
        return None
    kind = str(transformer.get("_class_name", ""))
    if not kind:
        what = "has a transformer of unknown make: transformer/config.json names no _class_name."
        return BaseError(what, where=evidence.path, hint=supported)
    family = next((each for each in FAMILIES.values() if kind == each.denoiser_class), None)
    if family is None:
        return None
    called = next((word for start, word in CLASSES if kind.startswith(start)), family.title)
    lacking = [f"{part}/" for part in dict.fromkeys(family.folders) if not evidence.has(part)]
    if transformer.get("guidance_embeds") is True:
        why = f" that is told its guidance, which {family.title}'s is not"
    elif lacking:
        why = f", but no {', '.join(lacking)}, which {family.title} needs"
    else:
        why = f', but transformer/config.json does not say "guidance_embeds": false, as {family.title}\'s does'
    return BaseError(f"is {called}: it has a transformer ({kind}){why}.", where=evidence.path, hint=supported)
