"""The bank: K adapters on one base, mixed per sample by a weight matrix S (B, K) (design.md 3).

Sample b of a forward pass gets the sum over k of S[b, k] x delta_k. Training one adapter, a prompt with several, a
different set for every image of a batch, a grid, an exam: each is this one thing with another S.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.adapter import Adapter, fit_adapter
from lorasmith.adapters.algorithms.algorithm import LayerFactors, Mix, Side, mix_columns
from lorasmith.adapters.algorithms.lora import LoraFactors
from lorasmith.adapters.gates import Gate
from lorasmith.bases.base import Base
from lorasmith.bases.compressed import Overlay, weight_place
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
        self._gate: Gate | None = None
        self._rows: dict[Part, int] = {}
        self.weigh(torch.ones(1, len(adapters)))

    def weigh(self, strengths: Tensor, te_strengths: Tensor | None = None) -> None:
        """Set S (B, K) for the next forward passes: of the denoiser, and of the text encoders (None = the same).

        B is the pass's batch; one row serves any batch. Raises ValueError for another K, or a number not finite.
        """
        self._mixes, self._rows = {}, {}
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

    def factors(self, part: Part, k: int | None = None) -> list[nn.Parameter]:
        """The trained tensors on the denoiser or on the text encoders, in the order of the name table; `k`: of the
        k-th adapter alone."""
        return [
            tensor
            for slot in self._slots
            if slot.part == part
            for side, columns in zip(slot.sides, slot.columns, strict=True)
            for column, trained in zip(columns, side.trained, strict=True)
            if k in (None, column)
            for tensor in trained.parameters()
        ]

    def sides(self, k: int) -> Iterator[tuple[str, Side, int]]:
        """Where the k-th adapter is: the layer's name, the side that has it, and its place in the side's stack."""
        for slot in self._slots:
            for side, columns in zip(slot.sides, slot.columns, strict=True):
                if k in columns:
                    yield slot.name, side, columns.index(k)

    def adapter(self, k: int, name: str, metadata: Mapping[str, str]) -> Adapter:
        """The current factors of the k-th adapter as a value of its own: copies, on the CPU."""
        layers = {
            slot.name: _copied(side.factors(columns.index(k)))
            for slot in self._slots
            for side, columns in zip(slot.sides, slot.columns, strict=True)
            if k in columns
        }
        return Adapter(name, layers, dict(metadata))

    def vary(self, *generators: torch.Generator) -> None:
        """Before a training step: draw anew what algorithms vary from step to step (DyLoRA's rank); one generator
        for each adapter."""
        shares = [float(torch.rand((), generator=generator)) for generator in generators]
        for slot in self._slots:
            for side, columns in zip(slot.sides, slot.columns, strict=True):
                side.vary([shares[column] for column in columns])

    @contextmanager
    def gated(self, gate: Gate | None) -> Iterator[None]:
        """Passes inside have parts of the one adapter that is active stand still; in training alone."""
        before, self._gate = self._gate, gate
        try:
            yield
        finally:
            self._gate = before

    def remember(self) -> AbstractContextManager[None]:
        """A context in which the bank acts as it does now, for activations that are computed again later."""
        return self._as_it_was(self._mixes, self._rows, self._gate)

    @contextmanager
    def _as_it_was(
        self, mixes: dict[Part, dict[tuple[int, ...], Mix | None]], rows: dict[Part, int], gate: Gate | None
    ) -> Iterator[None]:
        now = self._mixes, self._rows, self._gate
        self._mixes, self._rows, self._gate = mixes, rows, gate
        try:
            yield
        finally:
            self._mixes, self._rows, self._gate = now

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
            if mix is None or (self._gate is not None and self._gate.skips(slot.name)):
                return original(x)
            if self._gate is not None:
                mix = replace(mix, gate=self._gate, layer=slot.name)
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
        with self.merge(strengths, te_strengths).applied():
            yield

    @torch.no_grad()
    def merge(self, strengths: Tensor, te_strengths: Tensor | None = None, over: Merged | None = None) -> Merged:
        """Weights with the adapters' sum in them, made from the untouched ones; nothing is changed before `applied`.

        The memory of `over`, which must not be used any more, is written again where it fits.
        """
        by_part = dict(zip(PARTS, (strengths, strengths if te_strengths is None else te_strengths), strict=True))
        rows = {part: self._checked(given)[0].tolist() for part, given in by_part.items()}
        spare = {} if over is None else {id(place): value for place, value in over.weights}
        weights: list[tuple[nn.Parameter | Overlay, Tensor]] = []
        for slot in self._slots:
            acting = [
                (side.factors(position), rows[slot.part][k])
                for side, columns in zip(slot.sides, slot.columns, strict=True)
                for position, k in enumerate(columns)
                if rows[slot.part][k] != 0.0
            ]
            if not acting:
                continue
            layer = cast(nn.Linear, slot.layer)
            place = weight_place(layer)
            weights.append((place, _add_deltas(layer.weight, acting, spare.get(id(place)))))
            shifts = [(shift, s) for factors, s in acting if (shift := factors.delta_bias()) is not None]
            if shifts:
                moved = layer.bias.float()
                for shift, strength in shifts:
                    moved = moved.add(shift, alpha=strength)
                weights.append((layer.bias, moved.to(layer.bias.dtype)))
        return Merged(tuple(weights))


@dataclass(frozen=True, eq=False)
class Merged:
    """New values for some of the base's weights and biases: the place of each, and its value."""

    weights: tuple[tuple[nn.Parameter | Overlay, Tensor], ...]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The base with the new values; on exit it is as before, bit for bit, and at no cost."""
        untouched = [(place, place.data) for place, _ in self.weights]
        try:
            for place, value in self.weights:
                place.data = value
            yield
        finally:
            # NOTE: the old storage was never written to, so that putting it back is exact and costs nothing.
            for place, old in untouched:
                cast(Any, place).data = old


def _add_deltas(weight: Tensor, acting: Sequence[tuple[LayerFactors, float]], spare: Tensor | None) -> Tensor:
    """The weight plus strength x delta of each, summed in fp32."""
    fits = spare is not None and spare.dtype == torch.float32 and spare.shape == weight.shape
    total = spare if fits and spare is not None else torch.empty(weight.shape, device=weight.device)
    total.copy_(weight)
    for factors, strength in acting:
        if isinstance(factors, LoraFactors):
            matrix = total.view(total.shape[0], -1)
            matrix.addmm_(factors.up.flatten(1), factors.down.flatten(1), alpha=strength * factors.scale)
        else:
            total.add_(factors.delta_weight(weight), alpha=strength)
    return total.to(weight.dtype)


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
