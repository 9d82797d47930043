"""The families of bases, a file each. Another one is added by `FAMILIES.register(family)`; no list is edited."""

from __future__ import annotations

from lorasmith.bases.families.anima import ANIMA
from lorasmith.bases.families.doodle import DOODLE
from lorasmith.bases.families.family import Family
from lorasmith.bases.families.klein import KLEIN
from lorasmith.bases.families.sd1 import SD1
from lorasmith.bases.families.sd2 import SD2
from lorasmith.bases.families.sdxl import SDXL
from lorasmith.bases.families.zimage import ZIMAGE
from lorasmith.errors import BaseError
from lorasmith.prompts.networks import BLOCK_COUNTS
from lorasmith.registry import Registry


class Families(Registry[Family]):
    """Families by name; prompts may list as many block weights as one that is known has a layout of."""

    def register(self, entry: Family) -> Family:
        super().register(entry)
        BLOCK_COUNTS.update(entry.block_layouts)
        return entry

    def remove(self, entry: Family) -> None:
        super().remove(entry)
        others = (family.block_layouts for family in self.values())
        BLOCK_COUNTS.difference_update(set(entry.block_layouts).difference(*others))


FAMILIES = Families("a family", entries=(SD1, SD2, SDXL, DOODLE, ANIMA, ZIMAGE, KLEIN))
UNKNOWN: Family = SD1
"""The family that a recipe is read for where its base is not there, or cannot be read."""


def asked_families() -> tuple[Family, ...]:
    """The families in the order in which a base is shown to them: the last registered one first."""
    return tuple(FAMILIES.values())[::-1]


def is_text_layer(name: str) -> bool:
    """Whether a layer with this name in an adapter file is a text encoder's, in any family."""
    return name.startswith(("lora_te", *(f"{part.prefix}_" for family in FAMILIES.values() for part in family.text)))


def family_on_hubs(word: str) -> Family | None:
    """The family of bases that Civitai calls so ("SDXL 1.0", "Pony"); None for one that is not known."""
    said = word.casefold()
    return next((family for family in FAMILIES.values() if said and said.startswith(family.hub_words or ("?",))), None)


def find_family(name: str) -> Family:
    """The family with this name. Raises BaseError for an unknown one."""
    family = FAMILIES.get(name)
    if family is None:
        raise BaseError(f'no family "{name}".', hint=FAMILIES.suggest(name))
    return family
