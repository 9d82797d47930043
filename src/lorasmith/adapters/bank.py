"""The bank: K adapters on one base, mixed per sample by a weight matrix S (B, K) (design.md 3).

Sample b of a forward pass gets the sum over k of S[b, k] x delta_k. Training one adapter, a prompt with several, a
different set for every image of a batch, a grid, an exam: each is this one thing with another S.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
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
from lorasmith.bases.pointwise import is_pointwise
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

    def factors(self) -> dict[int, LayerFactors]:
        """The current factors by the bank's adapter."""
        return {
            k: side.factors(position)
            for side, columns in zip(self.sides, self.columns, strict=True)
            for position, k in enumerate(columns)
        }


@dataclass(frozen=True, eq=False)
class _Stance:
    """How a bank acts: the mixes of its columns and the strengths S (B, K) of each part, what stands still, and the
    layers that have merged weights for each of `blocks` rows."""

    mixes: Mapping[Part, Mapping[tuple[int, ...], Mix | None]]
    strengths: Mapping[Part, Tensor]
    gate: Gate | None = None
    blocks: Mapping[str, _Blocks] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Blocks:
    """A layer's merged weights and biases for n blocks of equally many rows, one after another: (n, i, o) and
    (n, 1, o) of a linear layer; of a 1x1 convolution, where every row is a block, (n, o, i) and (n, o, 1)."""

    weights: Tensor
    biases: Tensor | None
    spatial: bool

    def run(self, x: Tensor) -> Tensor:
        """The layer for x (B, ..., i), B a multiple of n; of a convolution (n, i, H, W)."""
        n = self.weights.shape[0]
        if self.spatial:
            return self._sum(self.weights, x.reshape(n, x.shape[1], -1)).view(n, -1, *x.shape[2:])
        return self._sum(x.reshape(n, -1, x.shape[-1]), self.weights).view(*x.shape[:-1], -1)

    def _sum(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.bmm(left, right) if self.biases is None else torch.baddbmm(self.biases, left, right)


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
        self._trainable = trainable
        self._columns = {part: {c for s in self._slots if s.part == part for c in s.columns} for part in PARTS}
        self._stance = _Stance({}, {})
        self._fixed: dict[str, Mapping[int, LayerFactors]] = {}
        self.weigh(torch.ones(1, len(adapters)))

    def weigh(self, strengths: Tensor, te_strengths: Tensor | None = None) -> None:
        """Set S (B, K) for the next forward passes: of the denoiser, and of the text encoders (None = the same).

        B is the pass's batch; one row serves any batch. Raises ValueError for another K, or a number not finite.
        """
        given = (strengths, strengths if te_strengths is None else te_strengths)
        checked = {part: self._checked(each) for part, each in zip(PARTS, given, strict=True)}
        mixes = {
            part: {columns: mix_columns(S[:, list(columns)], self.base.device) for columns in self._columns[part]}
            for part, S in checked.items()
        }
        self._stance = _Stance(mixes, checked, self._stance.gate)

    @torch.no_grad()
    def merge_blocks(self, room: int) -> None:
        """Give each block of rows with equal strengths merged weights of its own in the denoiser's linear layers and
        1x1 convolutions, until the next `weigh`: rows with different adapters then cost what the bare base's cost.

        Nothing happens where those weights would take more than `room` bytes, or the base is not in fp32: in half
        precision or compressed, a small change gets lost in the sum with its weight.
        """
        S = self._stance.strengths["unet"]
        slots = [slot for slot in self._slots if slot.part == "unet" and _is_product(slot.layer)]
        exact = self.base.weights == "full" and self.base.dtype == torch.float32
        if not exact or S.shape[0] * sum(_weight(slot.layer).nbytes for slot in slots) > room:
            return
        length = _block_length(S)
        rows: list[list[float]] = S[::length].tolist()
        blocks = {slot.name: _merge_rows(slot, self._factors(slot), rows, length) for slot in slots}
        self._stance = replace(self._stance, blocks=blocks)

    @property
    def bytes_merged(self) -> int:
        """Memory of the weights of `merge_blocks`."""
        return sum(blocks.weights.nbytes for blocks in self._stance.blocks.values())

    def _factors(self, slot: _Slot) -> Mapping[int, LayerFactors]:
        """The current factors at a layer; of a bank that nobody trains they are put together once."""
        if self._trainable:
            return slot.factors()
        if slot.name not in self._fixed:
            self._fixed[slot.name] = slot.factors()
        return self._fixed[slot.name]

    def part_blocks(self) -> None:
        """Forget the weights of `merge_blocks`: all rows go by the side path again."""
        self._stance = replace(self._stance, blocks={})

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
        before = self._stance.gate
        self._stance = replace(self._stance, gate=gate)
        try:
            yield
        finally:
            self._stance = replace(self._stance, gate=before)

    def remember(self) -> AbstractContextManager[None]:
        """A context in which the bank acts as it does now, for activations that are computed again later."""
        return self._as_it_was(self._stance)

    @contextmanager
    def _as_it_was(self, stance: _Stance) -> Iterator[None]:
        now, self._stance = self._stance, stance
        try:
            yield
        finally:
            self._stance = now

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
        stance = self._stance
        mixes, gate, count = stance.mixes[slot.part], stance.gate, stance.strengths[slot.part].shape[0]
        merged = stance.blocks.get(slot.name)
        if merged is not None:
            if count != x.shape[0]:
                raise self._wrong_rows(slot, x)
            return merged.run(x)
        if len(slot.sides) == 1:
            mix = mixes[slot.columns[0]]
            if mix is None or (gate is not None and gate.skips(slot.name)):
                return original(x)
            if gate is not None:
                mix = replace(mix, gate=gate, layer=slot.name)
            if mix.rows is not None and count != x.shape[0]:
                raise self._wrong_rows(slot, x)
            return slot.sides[0].run(original, x, mix)
        y = frozen = original(x)
        for side, columns in zip(slot.sides, slot.columns, strict=True):
            mix = mixes[columns]
            if mix is None:
                continue
            if mix.rows is not None and count != x.shape[0]:
                raise self._wrong_rows(slot, x)
            y = side.add(x, y, mix, frozen)
        return y

    def _wrong_rows(self, slot: _Slot, x: Tensor) -> ValueError:
        rows = self._stance.strengths[slot.part].shape[0]
        return ValueError(f"weigh() gave {rows} rows, {slot.name} got a batch of {x.shape[0]}")

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
        lost = wanted = 0.0
        for slot in self._slots:
            acting = _acting(self._factors(slot), rows[slot.part])
            if not acting:
                continue
            layer = cast(nn.Linear, slot.layer)
            place = weight_place(layer)
            exact = _add_deltas(layer.weight, acting, spare.get(id(place)))
            value = exact.to(layer.weight.dtype)
            weights.append((place, value))
            if value.dtype != torch.float32:
                lost += float((exact - value).square().sum())
                wanted += float((exact - layer.weight).square().sum())
            moved = _add_shifts(layer.bias, acting)
            if moved is not None and moved is not layer.bias:
                weights.append((layer.bias, moved))
        return Merged(tuple(weights), math.sqrt(lost / wanted) if wanted else 0.0)


@dataclass(frozen=True, eq=False)
class Merged:
    """New values for some of the base's weights and biases: the place of each, and its value.

    `loss`: the part of the wanted change that got lost when the weights were rounded, as a share of its norm; 0 in
    fp32. A change that is small beside a weight in half precision is rounded away.
    """

    weights: tuple[tuple[nn.Parameter | Overlay, Tensor], ...]
    loss: float = 0.0

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


def _acting(factors: Mapping[int, LayerFactors], strengths: Sequence[float]) -> list[tuple[LayerFactors, float]]:
    """The factors of the adapters whose strength, in one row of S, is not 0; and that strength."""
    return [(each, strengths[k]) for k, each in factors.items() if strengths[k] != 0.0]


def _add_deltas(weight: Tensor, acting: Sequence[tuple[LayerFactors, float]], spare: Tensor | None) -> Tensor:
    """The weight plus strength x delta of each, in fp32."""
    fits = spare is not None and spare.dtype == torch.float32 and spare.shape == weight.shape
    total = spare if fits and spare is not None else torch.empty(weight.shape, device=weight.device)
    _sum_up(total, weight, acting)
    return total


def _sum_up(total: Tensor, weight: Tensor, acting: Sequence[tuple[LayerFactors, float]]) -> None:
    """Write the weight plus strength x delta of each into `total`, fp32."""
    total.copy_(weight)
    for factors, strength in acting:
        if isinstance(factors, LoraFactors):
            matrix = total.view(total.shape[0], -1)
            matrix.addmm_(factors.up.flatten(1), factors.down.flatten(1), alpha=strength * factors.scale)
        else:
            total.add_(factors.delta_weight(weight), alpha=strength)


def _add_shifts(bias: Tensor | None, acting: Sequence[tuple[LayerFactors, float]]) -> Tensor | None:
    """The bias plus strength x shift of each; the bias itself when nobody moves it."""
    shifts = [(shift, strength) for factors, strength in acting if (shift := factors.delta_bias()) is not None]
    if not shifts:
        return bias
    assert bias is not None
    moved = bias.float()
    for shift, strength in shifts:
        moved = moved.add(shift, alpha=strength)
    return moved.to(bias.dtype)


def _block_length(S: Tensor) -> int:
    """The largest number of rows into which all runs of equal rows of S can be cut."""
    changes = (S[1:] != S[:-1]).any(dim=1).nonzero().flatten() + 1
    return math.gcd(S.shape[0], *changes.tolist())


def _is_product(layer: nn.Module) -> bool:
    """Whether the layer is one matrix product at every token or pixel."""
    return type(layer) is nn.Linear or is_pointwise(layer)


def _weight(layer: nn.Module) -> Tensor:
    return cast(Tensor, layer.weight)


def _merge_rows(
    slot: _Slot, factors: Mapping[int, LayerFactors], rows: Sequence[Sequence[float]], length: int
) -> _Blocks:
    """The layer's weights for blocks of `length` rows with these strengths."""
    weight, bias = _weight(slot.layer), cast(Tensor | None, slot.layer.bias)
    acting = [_acting(factors, row) for row in rows]
    totals = torch.empty(len(rows), *weight.shape, device=weight.device)
    for total, each in zip(totals, acting, strict=True):
        _sum_up(total, weight, each)
    weights = totals.flatten(2)
    moved = [_add_shifts(bias, each) for each in acting]
    biases = None if bias is None else torch.stack(cast(list[Tensor], moved))
    if isinstance(slot.layer, nn.Conv2d):
        weights = weights.repeat_interleave(length, dim=0)
        return _Blocks(weights, None if biases is None else biases.repeat_interleave(length, dim=0).unsqueeze(2), True)
    return _Blocks(weights.transpose(1, 2), None if biases is None else biases.unsqueeze(1), False)


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
