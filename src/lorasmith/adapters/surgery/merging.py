"""Adapters made into other adapters: any algorithm to plain LoRA, another rank, several into one; errors stated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.adapters.spelling.names import family_of_adapter, match_names
from lorasmith.adapters.spelling.origin import public_layers
from lorasmith.adapters.surgery.blocks import block_strength
from lorasmith.adapters.surgery.products import WHOLE, Cut, as_lora, as_product, shorten
from lorasmith.bases.base import Base
from lorasmith.bases.targets import TargetLayer
from lorasmith.errors import AdapterError

OPERATION = "lorasmith.operation"
"""The metadata field that says how a file was made of others; its ranks are its own, no recipe's."""


@dataclass(frozen=True, eq=False)
class Operation:
    """A new adapter and what it lost: `error` is ||new - old|| / ||old|| over all layers, `errors` that of each."""

    adapter: Adapter
    error: float
    errors: Mapping[str, float]


def to_lora(adapter: Adapter, cut: Cut = WHOLE, base: Base | None = None) -> Operation:
    """The adapter as plain LoRA, shortened by `cut`; alpha = rank. Another rank of a LoRA is the same thing.

    Exact without `cut`. DoRA, (IA)^3, OFT, BOFT and GLoRA change the base's weights in proportion: they need `base`,
    and fit that one only. Raises AdapterError, also for norms and biases, which no LoRA can hold.
    """
    return merge([adapter], [1.0], cut, base)


def merge(
    adapters: Sequence[Adapter],
    strengths: Sequence[float | Mapping[str, float]],
    cut: Cut = WHOLE,
    base: Base | None = None,
) -> Operation:
    """One LoRA that acts as the adapters together with these strengths; a strength may be a table of blocks, see
    `block_strength`. Layers at strength 0 are left out. Two spellings of a layer are one layer. Raises AdapterError,
    also for adapters of different families."""
    adapters = match_names(list(adapters)) if base is None else [fit_adapter(adapter, base) for adapter in adapters]
    known = _layers(adapters, base)
    layers: dict[str, LayerFactors] = {}
    errors: dict[str, float] = {}
    lost = whole = 0.0
    for name in dict.fromkeys(name for adapter in adapters for name in adapter.layers):
        parts = [
            (as_product(adapter.layers[name], name, base, adapter.name), block_strength(name, strength, known))
            for adapter, strength in zip(adapters, strengths, strict=True)
            if name in adapter.layers and block_strength(name, strength, known)
        ]
        if not parts:
            continue
        shape = parts[0][0].shape
        if any(_as_matrix(part.shape) != _as_matrix(shape) for part, _ in parts):
            raise AdapterError(f"the adapters have different shapes for {name}: they are of different families.")
        up = torch.cat([part.up * strength for part, strength in parts], dim=1)
        down = torch.cat([part.down for part, _ in parts], dim=0)
        up, down, gone, norm = shorten(up, down, cut)
        lost, whole = lost + gone**2, whole + norm**2
        errors[name] = gone / norm if norm else 0.0
        layers[name] = as_lora(up, down, shape)
    if not layers:
        raise AdapterError("every strength is 0: nothing is left.", where=adapters[0].name)
    metadata = {
        key: value
        for key, value in adapters[0].metadata.items()
        if not key.startswith("sshs_") and key not in ("ss_network_dim", "ss_network_alpha", "ss_network_args")
    }
    embeddings = {key: tensor for adapter in adapters for key, tensor in adapter.embeddings.items()}
    skipped = tuple(name for adapter in adapters for name in adapter.skipped)
    result = Adapter("+".join(adapter.name for adapter in adapters), layers, metadata, embeddings, skipped)
    stated = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(result.rank),
        "ss_network_alpha": str(result.alpha),
        "ss_network_args": "{}",
        OPERATION: "merged" if len(adapters) > 1 else "converted",
    }
    return Operation(replace(result, metadata=metadata | stated), math.sqrt(lost / whole) if whole else 0.0, errors)


def _as_matrix(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a weight, a 1x1 convolution's as a linear layer's: files have some layers either way."""
    return shape[:2] if shape[2:] == (1, 1) else shape


def _layers(adapters: Sequence[Adapter], base: Base | None) -> Mapping[str, TargetLayer] | None:
    """The layers whose blocks are meant: of the base, else of the public models of the first adapter's family."""
    if base is not None:
        return base.layers
    family = family_of_adapter(adapters[0])
    return None if family is None else public_layers(family)
