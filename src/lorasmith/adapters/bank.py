"""The bank: K adapters on one base, mixed per sample by a weight matrix S (B, K) (design.md 3).

Sample b of a forward pass gets the sum over k of S[b, k] x delta_k. Training one adapter, a prompt with several, a
different set for every image of a batch, a grid, an exam: each is this one thing with another S.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.dropout import Dropout
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.layers.factors import LayerAdapter, LayerFactors
from lorasmith.adapters.layers.strengths import Strengths, read_strengths
from lorasmith.adapters.merged import (
    KeptRows,
    Merged,
    MergedRows,
    MissingBias,
    Place,
    acting_factors,
    add_deltas,
    add_shifts,
    block_length,
    frozen_weight,
    is_product,
    merge_rows,
)
from lorasmith.adapters.placing import PlacedAdapter, place_adapter
from lorasmith.bases.base import Base
from lorasmith.bases.compressed import weight_place
from lorasmith.bases.targets import Part
from lorasmith.errors import AdapterError

PARTS: tuple[Part, ...] = ("unet", "te")


@dataclass(frozen=True, eq=False)
class _Slot:
    """A target layer with what acts beside it: the factors that were `given` by the bank's adapter, and who has those
    of each algorithm. What applies them is made when it is first wanted: weights merged with them need none of it."""

    name: str
    part: Part
    layer: nn.Module
    given: Mapping[int, LayerFactors]
    by_algorithm: Mapping[type[LayerFactors], tuple[int, ...]]

    @cached_property
    def _stacks(self) -> tuple[tuple[LayerAdapter, tuple[int, ...]], ...]:
        with torch.inference_mode(False):
            stacks = [
                (algorithm.layer_adapter(self.layer, [cast(Any, self.given[k]) for k in columns]), columns)
                for algorithm, columns in self.by_algorithm.items()
            ]
        # What reads the layer's own output comes first, before others add to it in place.
        return tuple(sorted(stacks, key=lambda each: not each[0].reads_output))

    @cached_property
    def layer_adapters(self) -> tuple[LayerAdapter, ...]:
        """What applies the factors of each algorithm."""
        return tuple(stack for stack, _ in self._stacks)

    @cached_property
    def columns(self) -> tuple[tuple[int, ...], ...]:
        """The bank's adapters in each of `layer_adapters`, in its stack's order."""
        return tuple(columns for _, columns in self._stacks)

    def factors(self) -> dict[int, LayerFactors]:
        """The current factors by the bank's adapter."""
        return {
            k: stack.factors(position)
            for stack, columns in zip(self.layer_adapters, self.columns, strict=True)
            for position, k in enumerate(columns)
        }


@dataclass(frozen=True, eq=False)
class ActiveState:
    """How a bank acts: the strengths of its columns and the matrix S (B, K) of each part, what is dropped, and the
    layers that have merged weights for each of `blocks` rows."""

    strengths: Mapping[Part, Mapping[tuple[int, ...], Strengths | None]]
    matrices: Mapping[Part, Tensor]
    dropout: Mapping[Part, Dropout] | None = None
    blocks: Mapping[str, MergedRows] = field(default_factory=dict)


class AdapterBank(nn.Module):
    """K adapters beside the layers of a frozen base. Nothing happens to the base outside `attached` and `merged`.

    Of a `trainable` one the factors are fp32 parameters, copies; of another those of the adapters themselves, so that
    it costs little to make. Until `set_strengths` is called every adapter acts with strength 1. Raises AdapterError
    when an adapter has a layer that the base lacks, or of another shape.
    """

    def __init__(self, base: Base, adapters: Sequence[Adapter], trainable: bool = False) -> None:
        super().__init__()
        self.base = base
        self.names = tuple(adapter.name for adapter in adapters)
        self._given: Sequence[Adapter | PlacedAdapter] = [
            fit_adapter(adapter, base) if trainable else place_adapter(adapter, base) for adapter in adapters
        ]
        factors = [each.layers for each in self._given]
        self._slots = tuple(_slot(base, name, factors) for name in _touched(base, factors))
        self._trainable = trainable
        if trainable:
            self._own = nn.ModuleDict({slot.name: nn.ModuleList(slot.layer_adapters) for slot in self._slots})
            for slot in self._slots:
                for stack in slot.layer_adapters:
                    stack.make_trainable()
            self.to(base.device)
        self._columns = {
            part: {c for s in self._slots if s.part == part for c in s.by_algorithm.values()} for part in PARTS
        }
        self._state = ActiveState({}, {})
        self._kept_rows: KeptRows | None = None
        self._patches: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {}
        self._beneath: frozenset[nn.Module] = frozenset()
        self.set_strengths(torch.ones(1, len(adapters)))

    @property
    def layers(self) -> Mapping[str, tuple[LayerAdapter, ...]]:
        """What acts beside each layer, by its name."""
        return {slot.name: slot.layer_adapters for slot in self._slots}

    def set_strengths(self, strengths: Tensor, te_strengths: Tensor | None = None) -> None:
        """Set S (B, K) for the next forward passes: of the denoiser, and of the text encoders (None = the same).

        B is the pass's batch; one row serves any batch. Raises ValueError for another K, or a number not finite.
        """
        given = (strengths, strengths if te_strengths is None else te_strengths)
        checked = {part: self._checked(each) for part, each in zip(PARTS, given, strict=True)}
        columns_of = {
            part: {columns: read_strengths(S[:, list(columns)], self.base.device) for columns in self._columns[part]}
            for part, S in checked.items()
        }
        self._state = ActiveState(columns_of, checked, self._state.dropout)

    @torch.inference_mode(False)
    @torch.no_grad()
    def merge_blocks(self, room: int) -> None:
        """Give each block of rows with equal strengths merged weights of its own in the denoiser's linear layers and
        1x1 convolutions, until the next `set_strengths`: rows with different adapters then cost what the bare base's
        rows cost.

        Nothing happens where those weights would take more than `room` bytes, or the base is not in fp32: in half
        precision or compressed, a small change gets lost in the sum with its weight. Nor where blocks are swapped.
        """
        S = self._state.matrices["unet"]
        slots = [slot for slot in self._slots if slot.part == "unet" and is_product(slot.layer)]
        exact = self.base.can_merge and self.base.dtype == torch.float32
        before, self._kept_rows = self._kept_rows, None
        if not exact or S.shape[0] * sum(frozen_weight(slot.layer).nbytes for slot in slots) > room:
            return
        length = block_length(S)
        rows: list[list[float]] = S[::length].tolist()
        acting = tuple(
            tuple((each, strength) for each, strength in zip(self._given, row, strict=True) if strength) for row in rows
        )
        stale = before.changed(acting, length) if before is not None and not self._trainable else None
        blocks = {
            slot.name: merge_rows(
                slot.layer,
                self._factors(slot),
                rows,
                length,
                None if before is None or stale is None else before.blocks.get(slot.name),
                stale,
            )
            for slot in slots
        }
        self._kept_rows = KeptRows(acting, length, blocks)
        self._state = replace(self._state, blocks=blocks)

    @property
    def bytes_merged(self) -> int:
        """Memory of the weights of `merge_blocks`."""
        return sum(blocks.weights.nbytes for blocks in self._state.blocks.values())

    def _factors(self, slot: _Slot) -> Mapping[int, LayerFactors]:
        """The current factors at a layer; of a bank that nobody trains they are put together once."""
        return slot.factors() if self._trainable else slot.given

    def part_blocks(self) -> KeptRows | None:
        """Forget the weights of `merge_blocks`: all rows go beside the layers again. Gives them, for `take_blocks`."""
        kept, self._kept_rows = self._kept_rows, None
        self._state = replace(self._state, blocks={})
        return kept

    def take_blocks(self, kept: KeptRows | None) -> None:
        """Have the weights of another bank, which must not use them any more: the next `merge_blocks` makes anew only
        what rows with other adapters need."""
        self._kept_rows = kept

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
            for stack, columns in zip(slot.layer_adapters, slot.columns, strict=True)
            for column, trained in zip(columns, stack.trained, strict=True)
            if k in (None, column)
            for tensor in trained.parameters()
        ]

    def layer_adapters(self, k: int) -> Iterator[tuple[str, LayerAdapter, int]]:
        """Where the k-th adapter is: the layer's name, what acts beside it, and its place in the stack of that."""
        for slot in self._slots:
            for stack, columns in zip(slot.layer_adapters, slot.columns, strict=True):
                if k in columns:
                    yield slot.name, stack, columns.index(k)

    def adapter(self, k: int, name: str, metadata: Mapping[str, str]) -> Adapter:
        """The current factors of the k-th adapter as a value of its own: copies, on the CPU."""
        layers = {
            slot.name: _copied(stack.factors(columns.index(k)))
            for slot in self._slots
            for stack, columns in zip(slot.layer_adapters, slot.columns, strict=True)
            if k in columns
        }
        return Adapter(name, layers, dict(metadata))

    def vary(self, *generators: torch.Generator) -> None:
        """Before a training step: draw anew what algorithms vary from step to step (DyLoRA's rank); one generator
        for each adapter."""
        shares = [float(torch.rand((), generator=generator)) for generator in generators]
        for slot in self._slots:
            for stack, columns in zip(slot.layer_adapters, slot.columns, strict=True):
                stack.vary([shares[column] for column in columns])

    @contextmanager
    def with_dropout(self, dropout: Dropout | None) -> Iterator[None]:
        """Passes inside leave parts of the one adapter that is active out; in training alone."""
        before = self._state.dropout
        parts = None if dropout is None else {part: dropout.of(part) for part in PARTS}
        self._state = replace(self._state, dropout=parts)
        try:
            yield
        finally:
            self._state = replace(self._state, dropout=before)

    def remember(self) -> AbstractContextManager[None]:
        """A context in which the bank acts as it does now, for activations that are computed again later."""
        return self._as_it_was(self._state)

    @contextmanager
    def _as_it_was(self, state: ActiveState) -> Iterator[None]:
        now, self._state = self._state, state
        try:
            yield
        finally:
            self._state = now

    @contextmanager
    def attached(self, over: AdapterBank | None = None) -> Iterator[None]:
        """Patch the base's layers, on exit take the patches out: the base is as before, bit for bit.

        `over`: a bank that acts in the meantime as a part of the base. Raises AdapterError when another one is attached
        already: adapters that act together belong in one bank.
        """
        with nullcontext() if over is None else over.attached():
            self._beneath = frozenset(slot.layer for slot in over._slots) if over is not None else frozenset()
            for slot in self._slots:
                if "forward" in vars(slot.layer) and slot.layer not in self._beneath:
                    raise AdapterError(
                        f"layer {slot.name} is patched already.",
                        hint="Put all adapters into one bank, or detach first.",
                    )
            before = [vars(slot.layer).get("forward") for slot in self._slots]
            try:
                for slot in self._slots:
                    slot.layer.forward = self._patch(slot)
                yield
            finally:
                for slot, patch in zip(self._slots, before, strict=True):
                    vars(slot.layer).pop("forward", None)
                    if patch is not None:
                        slot.layer.forward = patch

    def _patch(self, slot: _Slot) -> Callable[[Tensor], Tensor]:
        """What stands in for a layer's own forward; the same object every time, as compiled passes are bound to it."""
        original = slot.layer.forward
        kept = self._patches.get(slot.name)
        if kept is None or kept[0] != original:
            kept = self._patches[slot.name] = (original, partial(self._run, slot, original))
        return kept[1]

    def _run(self, slot: _Slot, original: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        state = self._state
        strengths, count = state.strengths[slot.part], state.matrices[slot.part].shape[0]
        dropout = None if state.dropout is None else state.dropout[slot.part]
        merged = state.blocks.get(slot.name)
        if merged is not None:
            if count != x.shape[0]:
                raise self._wrong_rows(slot, x)
            return merged.run(x)
        if len(slot.layer_adapters) == 1:
            acting = strengths[slot.columns[0]]
            if acting is None or (dropout is not None and dropout.skips(slot.name)):
                return original(x)
            if dropout is not None:
                acting = replace(acting, dropout=dropout, layer=slot.name)
            if acting.rows is not None and count != x.shape[0]:
                raise self._wrong_rows(slot, x)
            if slot.layer not in self._beneath:
                return slot.layer_adapters[0].run(original, x, acting)
            y = original(x)  # not the layer's weights alone, which a faster form reads
            return slot.layer_adapters[0].add(x, y, acting, y)
        y = frozen = original(x)
        for stack, columns in zip(slot.layer_adapters, slot.columns, strict=True):
            acting = strengths[columns]
            if acting is None:
                continue
            if acting.rows is not None and count != x.shape[0]:
                raise self._wrong_rows(slot, x)
            y = stack.add(x, y, acting, frozen)
        return y

    def _wrong_rows(self, slot: _Slot, x: Tensor) -> ValueError:
        rows = self._state.matrices[slot.part].shape[0]
        return ValueError(f"set_strengths() gave {rows} rows, {slot.name} got a batch of {x.shape[0]}")

    @contextmanager
    def merged(self, strengths: Tensor, te_strengths: Tensor | None = None) -> Iterator[None]:
        """The adapters' sum inside the base's weights, with strengths (K,); on exit the untouched weights return.

        Adapters beside the layers and this differ by rounding only. For many pictures with the same strengths.
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
        weights: list[tuple[Place, Tensor]] = []
        lost = wanted = 0.0
        for slot in self._slots:
            acting = acting_factors(self._factors(slot), rows[slot.part])
            if not acting:
                continue
            layer = cast(nn.Linear, slot.layer)
            place = weight_place(layer)
            exact = add_deltas(layer.weight, acting, spare.get(id(place)))
            value = exact.to(layer.weight.dtype)
            weights.append((place, value))
            if value.dtype != torch.float32:
                lost += float((exact - value).square().sum())
                wanted += float((exact - layer.weight).square().sum())
            moved = add_shifts(layer.bias, acting)
            if moved is not None and moved is not layer.bias:
                weights.append((MissingBias(layer) if layer.bias is None else layer.bias, moved))
        return Merged(tuple(weights), math.sqrt(lost / wanted) if wanted else 0.0)


def _touched(base: Base, adapters: Sequence[Mapping[str, LayerFactors]]) -> list[str]:
    """The names of the layers that any adapter has, in the order of the base's table."""
    named = {name for factors in adapters for name in factors}
    return [name for name in base.layers if name in named]


def _slot(base: Base, name: str, adapters: Sequence[Mapping[str, LayerFactors]]) -> _Slot:
    given = {k: factors[name] for k, factors in enumerate(adapters) if name in factors}
    by_algorithm: dict[type[LayerFactors], tuple[int, ...]] = {}
    for k, each in given.items():
        by_algorithm[type(each)] = (*by_algorithm.get(type(each), ()), k)
    return _Slot(name, base.layers[name].part, base.module(name), given, by_algorithm)


def _copied(factors: LayerFactors) -> LayerFactors:
    return factors.with_trained({field: tensor.cpu().clone() for field, tensor in factors.trained().items()})
