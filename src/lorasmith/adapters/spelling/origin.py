"""Which family of bases a file is for, by its header and by its layers' names and sizes. Importable without torch."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from lorasmith.bases.families import FAMILIES
from lorasmith.bases.families.family import Family
from lorasmith.bases.families.foreign import WORDS
from lorasmith.bases.targets import TargetLayer

Extents = Mapping[str, tuple[int | None, ...]]
"""By a layer's name, the shape of the weight that its factors were made for (`LayerFactors.extent`)."""
_BLOCK = re.compile(r"lora_unet_(?:blocks|layers)_(\d+)_")
_NOTHING = ("", "none", "unknown", "null")


@dataclass(frozen=True)
class Origin:
    """What an adapter was made for: a family, or, where it is none that is known, what its header calls it ("" where
    nothing is said)."""

    family: Family | None
    word: str = ""

    @property
    def name(self) -> str | None:
        """The family's name, else the header's word; None when nothing tells."""
        return self.word or None if self.family is None else self.family.name


@dataclass(frozen=True)
class LayerFit:
    """How an adapter's layers fit the families: how many there are, how many of them each family knows; the families
    that their sizes contradict, and those that alone have some of their names."""

    layers: int
    known: Mapping[Family, int]
    contradicted: frozenset[Family]
    own: frozenset[Family]


def fit_families(extents: Extents) -> LayerFit:
    """How layers of these shapes fit each family that is known."""
    families = list(FAMILIES.values())
    return LayerFit(
        len(extents),
        {family: _known_names(extents, family) for family in families},
        frozenset(family for family in families if contradicts(extents, family)),
        frozenset(family for family in families if _has_own_names(extents, family)),
    )


def tell_origin(extents: Extents, metadata: Mapping[str, str]) -> Origin:
    """By the header, then by the names of layers, then by their widths: each chooses among what is left.

    Under a header that no family knows all names must be a family's; without one, most of them. A header that names
    another family than ours is believed, and so is an architecture in modelspec's form.
    """
    return _told_by_header(metadata) or choose_origin(fit_families(extents), metadata)


def choose_origin(fit: LayerFit, metadata: Mapping[str, str]) -> Origin:
    """`tell_origin` for layers that were looked at."""
    told = _told_by_header(metadata)
    if told is not None:
        return told
    said, word = _said_by_header(metadata), _header_word(metadata)
    most = fit.layers if word and not said else fit.layers // 2 + 1
    asked = said or list(fit.known)
    fitting = {f: fit.known[f] for f in asked if fit.known[f] >= most and f not in fit.contradicted}
    best = [family for family, count in fitting.items() if count == max(fitting.values())]
    if said or len(best) == 1:
        return Origin((best or said)[0], word)
    own = [] if word else [family for family in best or fit.known if family in fit.own]
    return Origin(own[0] if own else None, word)


def _told_by_header(metadata: Mapping[str, str]) -> Origin | None:
    """What the header tells alone: one family of ours, or another by a word that means it; None where it does not."""
    said, word = _said_by_header(metadata), _header_word(metadata)
    if len(said) == 1:
        return Origin(said[0], word)
    if not said and (word.lower().startswith(WORDS) or _is_architecture(metadata)):
        return Origin(None, word)
    return None


@cache
def public_layers(family: Family) -> Mapping[str, TargetLayer]:
    """The layers of the family's public models, by their names."""
    return family.public_layers()


@cache
def public_spellings(family: Family) -> Mapping[str, str]:
    """The names of the layers of the family's public models by every spelling."""
    return family.spellings(public_layers(family))


def contradicts(extents: Extents, family: Family) -> bool:
    """Whether a layer's sizes are not those of the family's public models: another family's, or another model's."""
    names, layers = public_spellings(family), public_layers(family)
    return any(
        name in names and _contradicts(family.public_size(layers[names[name]]), extent)
        for name, extent in extents.items()
    )


def _contradicts(expected: tuple[int, int], extent: tuple[int | None, ...]) -> bool:
    return any(size and wanted and size != wanted for size, wanted in zip(extent, expected, strict=False))


def _has_own_names(extents: Extents, family: Family) -> bool:
    """Whether a layer is called as only the family's are, in a model of another size if need be: other numbers."""
    if not family.own_names:
        return False
    own = (name for name in extents if name.startswith(family.own_names))
    return any(_unnumbered(name) in _unnumbered_spellings(family) for name in own)


@cache
def _unnumbered_spellings(family: Family) -> frozenset[str]:
    return frozenset(map(_unnumbered, public_spellings(family)))


def _unnumbered(name: str) -> str:
    return re.sub(r"(?<=_)\d+(?=_|$)", "0", name)


def _known_names(extents: Extents, family: Family) -> int:
    names = public_spellings(family)
    return sum(name in names for name in extents)


def _said_by_header(metadata: Mapping[str, str]) -> list[Family]:
    """The families that the header may mean; none when it says nothing, or means another."""
    version = re.sub(r"[_v.\-\s]", "", metadata.get("ss_base_model_version", "").lower())
    if version not in _NOTHING:
        return [family for family in FAMILIES.values() if version.startswith(family.version_words or ("?",))]
    architecture = metadata.get("modelspec.architecture", "").lower()
    return [family for family in FAMILIES.values() if architecture and architecture.startswith(_architecture(family))]


def _is_architecture(metadata: Mapping[str, str]) -> bool:
    """Whether the header's word is modelspec's, which are few; kohya's base version is whatever a trainer writes."""
    version = metadata.get("ss_base_model_version", "")
    return version.lower() in _NOTHING and metadata.get("modelspec.architecture", "").endswith("/lora")


def _header_word(metadata: Mapping[str, str]) -> str:
    """What the header calls the base's family."""
    version = metadata.get("ss_base_model_version", "")
    word = version if version.lower() not in _NOTHING else metadata.get("modelspec.architecture", "").split("/")[0]
    return word[:80]


def _architecture(family: Family) -> str:
    """How modelspec's word for the family begins."""
    one, other = (family.header_facts(each).architecture.split("/")[0] for each in (None, "v_prediction"))
    one, other = one.lower(), other.lower()
    return one[: next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))].rstrip("-")


def tell_deeper(unmatched: Collection[str], layers: Collection[str], family: Family) -> str | None:
    """What to say where all of a file that a base lacks lies in blocks beyond the base's last; None elsewhere."""
    ours = max((int(found[1]) for name in layers if (found := _BLOCK.match(name))), default=None)
    theirs = [int(found[1]) for name in unmatched if (found := _BLOCK.match(name))]
    if ours is None or not theirs or len(theirs) < len(unmatched) or min(theirs) <= ours:
        return None
    return f"It was made for a deeper {family.title}: of {max(theirs) + 1} blocks, this base has {ours + 1}."
