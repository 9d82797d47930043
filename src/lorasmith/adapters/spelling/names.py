"""One name for every layer: the family's own, whatever spelling a file has; and which family a file is for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.bases.families import FAMILIES
from lorasmith.bases.families.family import FIRST_TEXTS, Family
from lorasmith.bases.targets import TargetLayer
from lorasmith.errors import AdapterError

_NOTHING = ("", "none", "unknown", "null")
_MIXED = (
    re.compile(r"^lora_unet_(input_blocks|middle_block|output_blocks|time_embed_\d|label_emb|out_\d)"),
    re.compile(r"^lora_unet_(down_blocks|mid_block|up_blocks|time_embedding|add_embedding|conv_)"),
)
"""How names of a UNet's layers begin in Stability's spelling, and in diffusers'."""


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


def origin_of(adapter: Adapter) -> Origin:
    """By the header, then by the names of layers, then by their widths: each chooses among what is left.

    Under a header that no family knows all names must be a family's; without one, most of them.
    """
    said, word = _said_by_header(adapter.metadata), _header_word(adapter.metadata)
    if len(said) == 1:
        return Origin(said[0], word)
    most = len(adapter.layers) if word and not said else len(adapter.layers) // 2 + 1
    known = {family: _known_names(adapter, family) for family in said or FAMILIES.values()}
    fitting = {f: count for f, count in known.items() if count >= most and not contradicts(adapter, f)}
    best = [family for family, count in fitting.items() if count == max(fitting.values())]
    if said or len(best) == 1:
        return Origin((best or said)[0], word)
    own = [] if word else [family for family in best or FAMILIES.values() if _has_own_names(adapter, family)]
    return Origin(own[0] if own else None, word)


def family_of_adapter(adapter: Adapter) -> Family | None:
    """Which family of bases an adapter was made for; None when nothing tells, or it is none that is known."""
    return origin_of(adapter).family


@cache
def public_layers(family: Family) -> Mapping[str, TargetLayer]:
    """The layers of the family's public models, by their names."""
    return family.public_layers()


@cache
def public_spellings(family: Family) -> Mapping[str, str]:
    """The names of the layers of the family's public models by every spelling."""
    return family.spellings(public_layers(family))


def contradicts(adapter: Adapter, family: Family) -> bool:
    """Whether a layer's sizes are not those of the family's public models: another family's, or another model's."""
    names, layers = public_spellings(family), public_layers(family)
    return any(
        name in names and _contradicts(family.public_size(layers[names[name]]), factors)
        for name, factors in adapter.layers.items()
    )


def _contradicts(expected: tuple[int, int], factors: LayerFactors) -> bool:
    return any(size and wanted and size != wanted for size, wanted in zip(factors.extent, expected, strict=False))


def with_own_names(adapter: Adapter, family: Family | None = None) -> Adapter:
    """The adapter with its layers under the names that its family (`family`, else what it tells itself) has for them in
    its public models. As it is where no family is told, or where it is for a model of other sizes, whose blocks may be
    counted otherwise. Raises AdapterError when a layer is named twice, in two spellings."""
    family = family or family_of_adapter(adapter)
    if family is None or contradicts(adapter, family):
        return adapter
    names = public_spellings(family)
    layers: dict[str, LayerFactors] = {}
    for name, factors in adapter.layers.items():
        own = names.get(name, name)
        if own in layers:
            raise AdapterError(f"names the layer {own} twice, in two spellings.", where=adapter.name)
        layers[own] = factors
    return replace(adapter, layers=layers)


def match_names(adapters: list[Adapter]) -> list[Adapter]:
    """The adapters with one name for every layer among them, without a base.

    Raises AdapterError where they are for different families, or where a spelling cannot be told from another without
    the base.
    """
    origins = [origin_of(adapter) for adapter in adapters]
    told = [(adapter.name, origin.name) for adapter, origin in zip(adapters, origins, strict=True) if origin.name]
    if len({word for _, word in told}) > 1:
        each = ", ".join(f"{name} is for {word}" for name, word in told)
        raise AdapterError(f"they are for different families: {each}.", hint="Adapters of one family go together.")
    family = next((origin.family for origin in origins if origin.family is not None), None)
    named = [with_own_names(adapter, family) for adapter in adapters] if family is not None else list(adapters)
    spelt = {at for at, start in enumerate(_MIXED) for each in named if any(start.match(name) for name in each.layers)}
    if len(spelt) > 1:
        raise AdapterError(
            "their layers are named in two spellings, and which are the same depends on the base.",
            where=", ".join(adapter.name for adapter in adapters),
            hint="Name the base that they were made for.",
        )
    return _with_one_text_prefix(named)


def _with_one_text_prefix(adapters: list[Adapter]) -> list[Adapter]:
    """The first text encoder's layers as the first adapter that has any calls them, CLIP's with their `text_model`."""
    names = [name for adapter in adapters for name in adapter.layers]
    start = next((start for name in names for start in FIRST_TEXTS if name.startswith(start)), "")

    def own(name: str) -> str:
        found = next((each for each in FIRST_TEXTS if name.startswith(each)), None)
        if found is None:
            return name
        rest = name.removeprefix(found)
        return f"{start}{'text_model_' if rest.startswith('encoder_layers_') else ''}{rest}"

    return [replace(each, layers={own(name): factors for name, factors in each.layers.items()}) for each in adapters]


def _has_own_names(adapter: Adapter, family: Family) -> bool:
    return bool(family.own_names) and any(name.startswith(family.own_names) for name in adapter.layers)


def _known_names(adapter: Adapter, family: Family) -> int:
    names = public_spellings(family)
    return sum(name in names for name in adapter.layers)


def _said_by_header(metadata: Mapping[str, str]) -> list[Family]:
    """The families that the header may mean; none when it says nothing, or means another."""
    version = re.sub(r"[_v.\-\s]", "", metadata.get("ss_base_model_version", "").lower())
    if version not in _NOTHING:
        return [family for family in FAMILIES.values() if version.startswith(family.version_words or ("?",))]
    architecture = metadata.get("modelspec.architecture", "").lower()
    return [family for family in FAMILIES.values() if architecture and architecture.startswith(_architecture(family))]


def _header_word(metadata: Mapping[str, str]) -> str:
    """What the header calls the base's family."""
    version = metadata.get("ss_base_model_version", "")
    word = version if version.lower() not in _NOTHING else metadata.get("modelspec.architecture", "").split("/")[0]
    return word[:80]


def _architecture(family: Family) -> str:
    """How modelspec's word for the family begins."""
    one, other = (family.header_facts(each).architecture.split("/")[0] for each in (None, "v_prediction"))
    return one[: next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))].rstrip("-")
