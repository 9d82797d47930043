"""Adapters where they compute: fitted to a base, their factors on its device. Made once for all banks that have them,
so that a bank with one adapter more or less copies nothing."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.bases.base import Base

ALIGNMENT = 64
"""Bytes: where a factor lies must not decide how its products are rounded."""


@dataclass(frozen=True, eq=False)
class PlacedAdapter:
    """An adapter's factors under the base's own names, on its device; nobody changes them."""

    base: Base
    device: torch.device
    layers: Mapping[str, LayerFactors]


_placed: WeakKeyDictionary[Adapter, weakref.ref[PlacedAdapter]] = WeakKeyDictionary()


@torch.inference_mode(False)
def place_adapter(adapter: Adapter, base: Base) -> PlacedAdapter:
    """The adapter's factors for banks on this base, the same as long as anybody has them. Raises AdapterError where it
    does not fit."""
    reference = _placed.get(adapter)
    known = None if reference is None else reference()
    device = base.device
    if known is not None and known.base is base and known.device == device:
        return known
    fitted = fit_adapter(adapter, base)
    placed = PlacedAdapter(base, device, {name: _place(each, device) for name, each in fitted.layers.items()})
    _placed[adapter] = weakref.ref(placed)
    return placed


def _place(factors: LayerFactors, device: torch.device) -> LayerFactors:
    trained = factors.trained()
    there = {field: _settle(tensor, device) for field, tensor in trained.items()}
    return factors if all(there[field] is tensor for field, tensor in trained.items()) else factors.with_trained(there)


def _settle(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device, in one piece and aligned; itself where it is so."""
    if tensor.requires_grad:
        tensor = tensor.detach()
    there = tensor.to(device, torch.float32).contiguous()
    return there.clone() if there.data_ptr() % ALIGNMENT else there
