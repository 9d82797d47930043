"""Presets: where a recipe starts, by the base's family, which holds them, and by kind of subject. Keys: `[recipe]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.bases.families.family import Family
from lorasmith.project import SubjectKind


def explain_preset(kind: SubjectKind, family: Family) -> tuple[str, ...]:
    """Why the preset's values are what they are, a sentence each."""
    return family.reasons_for(kind)


def preset(kind: SubjectKind, family: Family) -> dict[str, Any]:
    """The values that a recipe for this kind of subject starts from."""
    return overlay(*family.preset_for(kind))


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above` on top, table by table; without the keys that `above` supersedes."""
    result = dict(below)
    for key in superseded(above):
        result.pop(key, None)
    for key, value in above.items():
        old = result.get(key)
        result[key] = overlay(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def superseded(above: Mapping[str, Any]) -> frozenset[str]:
    """The keys of lower layers that do not hold any more, though `above` does not give them.

    `epochs` and `target_steps` belong together: a layer that gives one of them drops the lower layer's other one,
    so that setting epochs to 4 means four epochs whatever the preset aims at. A rank of 0, as `conv` has it for no
    adapter, drops its alpha.
    """
    lengths = frozenset(("epochs", "target_steps"))
    given = lengths.intersection(above)
    gone = lengths - given if given else frozenset()
    return gone | {"alpha"} if above.get("rank") == 0 and "alpha" not in above else gone
