"""An adapter fitted to a base: its layers under the base's own names, their shapes checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.adapters.spelling.names import origin_of
from lorasmith.adapters.spelling.origin import tell_deeper
from lorasmith.bases.families.family import Family
from lorasmith.bases.targets import TargetLayer
from lorasmith.errors import AdapterError
from lorasmith.remedies import Give, Sentence


class Layered(Protocol):
    """What an adapter is fitted to: a loaded base, or its weights on disk."""

    name: str

    @property
    def family(self) -> Family: ...

    @property
    def layers(self) -> Mapping[str, TargetLayer]: ...

    def module(self, name: str) -> Any:
        """A layer with `weight`, and `bias` or None."""


def fit_adapter(adapter: Adapter, base: Layered) -> Adapter:
    """The adapter with every layer under the base's own name for it. Raises AdapterError where it does not fit.

    Other tools' spellings of the same layers are understood (`Family.spellings`).
    """
    own = base.layers
    spelt = not adapter.layers.keys() <= own.keys()
    names = base.family.spellings(own) if spelt else {name: name for name in adapter.layers}
    layers: dict[str, LayerFactors] = {}
    unmatched: list[str] = []
    for name, factors in adapter.layers.items():
        known = names.get(name)
        if known is None:
            unmatched.append(name)
        elif known in layers:
            raise AdapterError(f"names the layer {known} twice, in two spellings.", where=adapter.name)
        else:
            layers[known] = factors
    foreign = bool(unmatched) and origin_of(adapter).family not in (None, base.family)
    if unmatched and (foreign or not (adapter.skips and layers)):
        raise AdapterError(
            _unmatched_message(adapter, unmatched, base, foreign),
            where=adapter.name,
            hint=tell_deeper(unmatched, base.layers, base.family)
            or f"It was made for {origin_of(adapter).name or 'another model'}; "
            f"this base is {base.name} ({base.family}).",
            remedy=None if foreign or not layers else Sentence("The rest can be used: ", Give("skip_unknown"), "."),
        )
    for name, factors in layers.items():
        layer = base.module(name)
        fault = factors.shape_fault(layer.weight)
        if fault is None and (base.layers[name].kind == "norm") != factors.on_norms:
            fault = f"made by {factors.algorithm}, which is not for this kind of layer"
        bias = factors.delta_bias()
        if fault is None and bias is not None and (layer.weight.shape[0],) != tuple(bias.shape):
            fault = "made for a layer with another bias"
        if fault:
            raise AdapterError(
                f"does not fit {base.name}: {name} is {fault}.",
                where=adapter.name,
                hint=f"Its {base.family.title} has other widths than this one."
                if origin_of(adapter).family == base.family
                else f"It was made for another base than this one ({base.family}).",
            )
    return replace(adapter, layers=layers, skipped=(*adapter.skipped, *unmatched))


def _unmatched_message(adapter: Adapter, unmatched: list[str], base: Layered, foreign: bool) -> str:
    shown = ", ".join(unmatched[:5]) + (f" and {len(unmatched) - 5} more" if len(unmatched) > 5 else "")
    if len(unmatched) == len(adapter.layers):
        return f"fits nothing on {base.name}: none of its {len(unmatched)} layers is there ({shown})."
    if foreign:
        return f"fits nothing on {base.name}: it is for another family, with layers such as {shown}."
    return f"{len(unmatched)} of its {len(adapter.layers)} layers are not on {base.name}: {shown}."
