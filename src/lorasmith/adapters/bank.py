"""The bank: K adapters on one base, mixed per sample by a weight matrix S (B, K) (design.md 3).

Sample b of a forward pass gets the sum over k of S[b, k] x delta_k. Training one adapter, a prompt with several, a
different set for every image of a batch, a grid, an exam: each is this one thing with another S.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.adapter import Adapter, fit_adapter
from lorasmith.adapters.algorithms.algorithm import LayerFactors, Mix, Side, mix_columns
from lorasmith.bases.base import Base
from lorasmith.errors import AdapterError

Part = Literal["unet", "te"]
PARTS: tuple[Part, ...] = ("unet", "te")


@dataclass(frozen=True)
class _Slot:
    """A target layer with its sides; `columns[j]` are the bank's adapters in `sides[j]`, in its stack's order."""

    name: str
    part: Part
    layer: nn.Module
    sides: tuple[Side, ...]
    columns: tuple[tuple[int, ...], ...]


class AdapterBank(nn.Module):
    """K adapters beside the layers of a frozen base. Nothing happens to the base outside `attached` and `merged`.

    The factors are fp32 parameters. Until `weigh` is called every adapter acts with strength 1. Raises AdapterError
    when an adapter has a layer that the base lacks, or of another shape.
    """

    def __init__(self, base: Base, adapters: Sequence[Adapter], trainable: bool = False) -> None:
        super().__init__()
        self.base = base
        self.names = tuple(adapter.name for adapter in adapters)
        fitted = [fit_adapter(adapter, base) for adapter in adapters]
        self._slots = tuple(_slot(base, name, fitted) for name in _touched(base, fitted))
        self.layers = nn.ModuleDict({slot.name: nn.ModuleList(slot.sides) for slot in self._slots})
        self.to(base.device)
        self.requires_grad_(trainable)
        self._columns = {part: {c for s in self._slots if s.part == part for c in s.columns} for part in PARTS}
        self._mixes: dict[Part, dict[tuple[int, ...], Mix | None]] = {}
        self._rows: dict[Part, int] = {}
        self.weigh(torch.ones(1, len(adapters)))

    def weigh(self, strengths: Tensor, te_strengths: Tensor | None = None) -> None:
        """Set S (B, K) for the next forward passes: of the denoiser, and of the text encoders (None = the same).

        B is the pass's batch; one row serves any batch. Raises ValueError for another K, or a number not finite.
        """
        for part, given in zip(PARTS, (strengths, strengths if te_strengths is None else te_strengths), strict=True):
            S = self._checked(given)
            self._rows[part] = S.shape[0]
            self._mixes[part] = {
                columns: mix_columns(S[:, list(columns)], self.base.device) for columns in self._columns[part]
            }

    def _checked(self, strengths: Tensor) -> Tensor:
        S = strengths.detach().to("cpu", torch.float32)
        S = S.unsqueeze(0) if S.ndim == 1 else S
        if S.ndim != 2 or S.shape[1] != len(self.names) or S.shape[0] < 1:
            raise ValueError(f"strengths of shape {tuple(strengths.shape)} for {len(self.names)} adapters")
        if not bool(S.isfinite().all()):
            raise ValueError("a strength is not a finite number")
        return S

    def factors(self, part: Part) -> list[nn.Parameter]:
        """The trained tensors on the denoiser or on the text encoders, in the order of the name table."""
        return [tensor for slot in self._slots if slot.part == part for tensor in self.layers[slot.name].parameters()]

    def adapter(self, k: int, name: str, metadata: Mapping[str, str]) -> Adapter:
        """The current factors of the k-th adapter as a value of its own: copies, on the CPU."""
        layers = {
            slot.name: _copied(side.factors(columns.index(k)))
            for slot in self._slots
            for side, columns in zip(slot.sides, slot.columns, strict=True)
            if k in columns
        }
        return Adapter(name, layers, dict(metadata))

    def vary(self, generator: torch.Generator) -> None:
        """Before a training step: draw anew what algorithms vary from step to step (DyLoRA's rank)."""
        share = float(torch.rand((), generator=generator))
        for slot in self._slots:
            for side in slot.sides:
                side.vary(share)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Patch the base's layers, on exit take the patches out: the base is as before, bit for bit.

        Raises AdapterError when a bank is attached already: adapters that act together belong in one bank.
        """
        for slot in self._slots:
            if "forward" in vars(slot.layer):
                raise AdapterError(
                    f"layer {slot.name} is patched already.",
                    hint="Put all adapters into one bank, or detach first.",
                )
        try:
            for slot in self._slots:
                slot.layer.forward = partial(self._run, slot, slot.layer.forward)
            yield
        finally:
            for slot in self._slots:
                vars(slot.layer).pop("forward", None)

    def _run(self, slot: _Slot, original: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        mixes = self._mixes[slot.part]
        if len(slot.sides) == 1:
            mix = mixes[slot.columns[0]]
            if mix is None:
                return original(x)
            if mix.rows is not None and self._rows[slot.part] != x.shape[0]:
                raise self._wrong_rows(slot, x)
            return slot.sides[0].run(original, x, mix)
        y = frozen = original(x)
        for side, columns in zip(slot.sides, slot.columns, strict=True):
            mix = mixes[columns]
            if mix is None:
                continue
            if mix.rows is not None and self._rows[slot.part] != x.shape[0]:
                raise self._wrong_rows(slot, x)
            y = side.add(x, y, mix, frozen)
        return y

    def _wrong_rows(self, slot: _Slot, x: Tensor) -> ValueError:
        return ValueError(f"weigh() gave {self._rows[slot.part]} rows, {slot.name} got a batch of {x.shape[0]}")

    @contextmanager
    def merged(self, strengths: Tensor, te_strengths: Tensor | None = None) -> Iterator[None]:
        """The adapters' sum inside the base's weights, with strengths (K,); on exit the untouched weights return.

        The side path and this differ by rounding only. For many pictures with the same strengths.
        """
        by_part = dict(zip(PARTS, (strengths, strengths if te_strengths is None else te_strengths), strict=True))
        rows = {part: self._checked(given)[0].tolist() for part, given in by_part.items()}
        untouched: list[tuple[nn.Parameter, Tensor]] = []
        try:
            for slot in self._slots:
                for parameter, new in self._merged(slot, rows[slot.part]):
                    untouched.append((parameter, parameter.data))
                    parameter.data = new
            yield
        finally:
            # NOTE: the old storage was never written to, so that putting it back is exact and costs nothing.
            for parameter, old in untouched:
                parameter.data = old

    @torch.no_grad()
    def _merged(self, slot: _Slot, strengths: list[float]) -> list[tuple[nn.Parameter, Tensor]]:
        """The layer's parameters that change, with their new values."""
        layer = cast(nn.Linear, slot.layer)
        weight: Tensor | None = None
        bias: Tensor | None = None
        for side, columns in zip(slot.sides, slot.columns, strict=True):
            for position, k in enumerate(columns):
                if strengths[k] == 0.0:
                    continue
                factors = side.factors(position)
                delta = factors.delta_weight(layer.weight).mul(strengths[k])
                weight = delta if weight is None else weight.add_(delta)
                more = factors.delta_bias()
                if more is not None:
                    more = more.mul(strengths[k])
                    bias = more if bias is None else bias.add_(more)
        return [
            (cast(nn.Parameter, parameter), total.add_(parameter).to(parameter.dtype))
            for parameter, total in ((layer.weight, weight), (layer.bias, bias))
            if total is not None
        ]


def _touched(base: Base, adapters: Sequence[Adapter]) -> list[str]:
    """The names of the layers that any adapter has, in the order of the base's table."""
    named = {name for adapter in adapters for name in adapter.layers}
    return [name for name in base.layers if name in named]


def _slot(base: Base, name: str, adapters: Sequence[Adapter]) -> _Slot:
    by_algorithm: dict[type[LayerFactors], list[int]] = {}
    for k, adapter in enumerate(adapters):
        if name in adapter.layers:
            by_algorithm.setdefault(type(adapter.layers[name]), []).append(k)
    layer = base.module(name)
    sides = tuple(
        algorithm.side(layer, [cast(Any, adapters[k].layers[name]) for k in columns])
        for algorithm, columns in by_algorithm.items()
    )
    columns = [tuple(each) for each in by_algorithm.values()]
    # Sides that read the layer's own output come first, before others add to it in place.
    order = sorted(range(len(sides)), key=lambda j: not sides[j].reads_output)
    return _Slot(name, base.layers[name].part, layer, tuple(sides[j] for j in order), tuple(columns[j] for j in order))


def _copied(factors: LayerFactors) -> LayerFactors:
    return factors.with_trained({field: tensor.cpu().clone() for field, tensor in factors.trained().items()})
