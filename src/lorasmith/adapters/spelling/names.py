"""One name for every layer: the family's own, whatever spelling a file has; and which family a file is for."""

from __future__ import annotations

import re
from dataclasses import replace

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.adapters.spelling.origin import Extents, Origin, contradicts, public_spellings, tell_origin
from lorasmith.bases.families.family import FIRST_TEXTS, Family
from lorasmith.errors import AdapterError

_MIXED = (
    re.compile(r"^lora_unet_(input_blocks|middle_block|output_blocks|time_embed_\d|label_emb|out_\d)"),
    re.compile(r"^lora_unet_(down_blocks|mid_block|up_blocks|time_embedding|add_embedding|conv_)"),
)
"""How names of a UNet's layers begin in Stability's spelling, and in diffusers'."""


def origin_of(adapter: Adapter) -> Origin:
    """What an adapter was made for (`origin.tell_origin`)."""
    return tell_origin(extents_of(adapter), adapter.metadata)


def extents_of(adapter: Adapter) -> Extents:
    """The shapes of the weights that its factors were made for."""
    return {name: factors.extent for name, factors in adapter.layers.items()}


def family_of_adapter(adapter: Adapter) -> Family | None:
    """Which family of bases an adapter was made for; None when nothing tells, or it is none that is known."""
    return origin_of(adapter).family


def with_own_names(adapter: Adapter, family: Family | None = None) -> Adapter:
    """The adapter with its layers under the names that its family (`family`, else what it tells itself) has for them in
    its public models. As it is where no family is told, or where it is for a model of other sizes, whose blocks may be
    counted otherwise. Raises AdapterError when a layer is named twice, in two spellings."""
    family = family or family_of_adapter(adapter)
    if family is None or contradicts(extents_of(adapter), family):
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
