"""Which adapters stand beside the base together: banks kept by their members, and weights merged for a steady set."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from weakref import WeakKeyDictionary

import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.merged import KeptRows, Merged
from lorasmith.bases.base import Base

BANK_BYTES = 512 * 2**20
BLOCKS_BYTES = 256 * 2**20
"""What merged weights for rows with different adapters may take: a small base's side paths cost more than its layers.
"""
MERGE_LOSS = 0.05
_numbers = count()
_identities: WeakKeyDictionary[Adapter, int] = WeakKeyDictionary()


@dataclass(frozen=True)
class Member:
    """A column of a bank: an adapter with its first `dyn` ranks, on the blocks that have the weight `share`.

    `identity` tells loaded files apart, since a file may change between two pictures; `blocks` are the block
    weights, empty for none.
    """

    name: str
    dyn: int | None
    identity: int
    blocks: tuple[float, ...] = ()
    share: float = 1.0

    @property
    def order(self) -> tuple[object, ...]:
        """Members stand in one order whoever called them first: sums round alike."""
        return (self.name, self.dyn or 0, self.blocks, self.share, self.identity)


def identify(adapter: Adapter) -> int:
    """A number of this loaded adapter that no other gets."""
    if adapter not in _identities:
        _identities[adapter] = next(_numbers)
    return _identities[adapter]


class AdapterSet:
    """A bank and which of its columns is whose."""

    def __init__(self, base: Base, members: Mapping[Member, Adapter]) -> None:
        order = sorted(members, key=lambda member: member.order)
        self.columns: Mapping[Member, int] = {member: column for column, member in enumerate(order)}
        self.bank = AdapterBank(base, [members[member] for member in order]) if order else None
        self.bytes = sum(adapter.bytes for adapter in members.values())
        self._weighed: tuple[tuple[tuple[float, ...], ...], int] | None = None
        self._merged: tuple[tuple[float, ...], Merged] | None = None
        self._made: tuple[tuple[float, ...], Merged] | None = None
        self._losses: dict[tuple[float, ...], float] = {}

    def acting(self, rows: Sequence[Mapping[Member, float]]) -> AbstractContextManager[None]:
        """The denoiser's passes inside have these strengths, one mapping for each row."""
        if self._merged is not None and all(self._row(row) == self._merged[0] for row in rows):
            return self._merged[1].applied()
        return self._beside(rows, BLOCKS_BYTES)

    def encoding(self, strengths: Mapping[Member, float]) -> AbstractContextManager[None]:
        """The text encoders' passes inside have these strengths in every row."""
        return self._beside([strengths], 0)

    def _beside(self, rows: Sequence[Mapping[Member, float]], room: int) -> AbstractContextManager[None]:
        if self.bank is None or not any(rows):
            return nullcontext()
        strengths = tuple(self._row(row) for row in rows)
        if (strengths, room) != self._weighed:
            S = torch.tensor(strengths)
            self.bank.set_strengths(S, S)
            if room:
                self.bank.merge_blocks(room)
            self._weighed = (strengths, room)
        return self.bank.attached()

    def can_merge(self, strengths: Mapping[Member, float]) -> bool:
        """Whether merged weights serve: not where rounding them loses more than `MERGE_LOSS` of what the adapters
        change, so that the side path draws better."""
        row = self._row(strengths)
        if row not in self._losses:
            self._losses[row] = self._merge(row).loss
            if self._losses[row] > MERGE_LOSS:
                self._made = None
        return self._losses[row] <= MERGE_LOSS

    @contextmanager
    def merged(self, strengths: Mapping[Member, float]) -> Iterator[None]:
        """Inside, passes in which all rows have these strengths run on merged weights, at the bare base's speed.

        The merged weights are kept for the next time, until `release`.
        """
        row = self._row(strengths)
        self._merged = (row, self._merge(row))
        try:
            yield
        finally:
            self._merged = None

    def _merge(self, row: tuple[float, ...]) -> Merged:
        assert self.bank is not None
        if self._made is None or self._made[0] != row:
            over = None if self._made is None else self._made[1]
            self._made = None
            self._made = (row, self.bank.merge(torch.tensor(row), torch.zeros(len(row)), over))
        return self._made[1]

    def release(self) -> KeptRows | None:
        """Give the memory of merged weights back; what rows with different adapters had, for `take_over`."""
        self._made = self._weighed = None
        return None if self.bank is None else self.bank.part_blocks()

    def take_over(self, kept: KeptRows | None) -> None:
        """Have what another set's rows had, of which those that stay need not be made again."""
        if self.bank is not None:
            self.bank.take_blocks(kept)

    @property
    def bytes_merged(self) -> int:
        """Memory of merged weights, beside the factors."""
        return 0 if self.bank is None else self.bank.bytes_merged

    def _row(self, strengths: Mapping[Member, float]) -> tuple[float, ...]:
        row = [0.0] * len(self.columns)
        for member, strength in strengths.items():
            row[self.columns[member]] = strength
        return tuple(row)


class BankCache:
    """Banks by their members; the least recently used go first when all together hold more than `capacity` bytes."""

    def __init__(self, base: Base, capacity: int = BANK_BYTES) -> None:
        self.base = base
        self.capacity = capacity
        self._kept: OrderedDict[frozenset[Member], AdapterSet] = OrderedDict()

    def get(self, members: Mapping[Member, Adapter], also: Mapping[Member, Adapter] | None = None) -> AdapterSet:
        """A bank that has all of `members`, perhaps others too; a new one has those of `also`, which may be wanted
        soon. Only this one keeps merged weights. Raises AdapterError where one does not fit the base."""
        wanted, there, last = frozenset(members), self._kept, next(reversed(self._kept), None)
        key = next((kept for kept in reversed(self._kept) if wanted <= kept), None)
        if key is None:
            everybody = {**(also or {}), **members}
            key = frozenset(everybody)
            made = AdapterSet(self.base, everybody)  # while those are there of whom it has factors
            self._kept = OrderedDict((kept, other) for kept, other in there.items() if not kept <= key)
            self._kept[key] = made
        if last is not None and last != key:
            self._kept[key].take_over(there[last].release())
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and self.bytes > self.capacity:
            self._kept.popitem(last=False)
        return self._kept[key]

    def release(self) -> None:
        """Give the memory of all merged weights back."""
        for adapter_set in self._kept.values():
            adapter_set.release()

    @property
    def bytes(self) -> int:
        """Memory of the banks' factors."""
        return sum(adapter_set.bytes for adapter_set in self._kept.values())


def gather(parts: Iterable[tuple[Member, float]]) -> dict[Member, float]:
    """Strengths by member, repeats summed."""
    total: dict[Member, float] = {}
    for member, strength in parts:
        total[member] = total.get(member, 0.0) + strength
    return total
