"""The families of bases, a file each. Another one is added by `FAMILIES.register(family)`; no list is edited."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.bases.families.doodle import DOODLE
from lorasmith.bases.families.family import Family
from lorasmith.bases.families.sd1 import SD1
from lorasmith.bases.families.sd2 import SD2
from lorasmith.bases.families.sdxl import SDXL
from lorasmith.errors import BaseError, did_you_mean


class Families:
    """The known families, the last registered first: so is a base shown to them."""

    def __init__(self, *families: Family) -> None:
        self._known: dict[str, Family] = {}
        for family in families:
            self.register(family)

    def register(self, family: Family) -> Family:
        """Make a family known, and ask it before those that are; gives it back. Raises ValueError when its name is
        taken."""
        if family.name in self._known:
            raise ValueError(f'a family named "{family.name}" is registered already')
        self._known = {family.name: family, **self._known}
        return family

    def remove(self, family: Family) -> None:
        """Forget a family that was registered."""
        del self._known[family.name]

    def names(self) -> tuple[str, ...]:
        return tuple(self._known)

    def get(self, name: str) -> Family | None:
        return self._known.get(name)

    def __iter__(self) -> Iterator[Family]:
        return iter(tuple(self._known.values()))

    def __len__(self) -> int:
        return len(self._known)


FAMILIES = Families(SD1, SD2, SDXL, DOODLE)
UNKNOWN: Family = SD1
"""The family that a recipe is read for where its base is not there, or cannot be read."""


def find_family(name: str) -> Family:
    """The family with this name. Raises BaseError for an unknown one."""
    family = FAMILIES.get(name)
    if family is None:
        known = FAMILIES.names()
        raise BaseError(f'no family "{name}".', hint=did_you_mean(name, known) or f"Known: {', '.join(known)}.")
    return family
