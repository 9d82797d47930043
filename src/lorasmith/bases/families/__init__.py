"""The families of bases, a file each. Another one is added by `FAMILIES.register(family)`; no list is edited."""

from __future__ import annotations

from lorasmith.bases.families.doodle import DOODLE
from lorasmith.bases.families.family import Family
from lorasmith.bases.families.sd1 import SD1
from lorasmith.bases.families.sd2 import SD2
from lorasmith.bases.families.sdxl import SDXL
from lorasmith.errors import BaseError
from lorasmith.registry import Registry

FAMILIES: Registry[Family] = Registry("a family", entries=(SD1, SD2, SDXL, DOODLE))
UNKNOWN: Family = SD1
"""The family that a recipe is read for where its base is not there, or cannot be read."""


def asked_families() -> tuple[Family, ...]:
    """The families in the order in which a base is shown to them: the last registered one first."""
    return tuple(FAMILIES.values())[::-1]


def find_family(name: str) -> Family:
    """The family with this name. Raises BaseError for an unknown one."""
    family = FAMILIES.get(name)
    if family is None:
        raise BaseError(f'no family "{name}".', hint=FAMILIES.suggest(name))
    return family
