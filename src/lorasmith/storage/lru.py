"""Things kept up to a number of bytes, the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ByteLru(Generic[K, V]):
    """Values by key, together no more than `capacity` bytes; a single value may be larger. `dropped` is told what
    goes. Not for several threads at once."""

    def __init__(self, capacity: int, dropped: Callable[[K, V], None] | None = None) -> None:
        self.capacity = capacity
        self.bytes = 0
        self._dropped = dropped
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[K]:
        """The keys, the least recently used first."""
        return iter(list(self._kept))

    def __contains__(self, key: K) -> bool:
        return key in self._kept

    def get(self, key: K) -> V | None:
        """The value, which is the most recently used one now; None where there is none."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value of `size` bytes in place of the key's last one; others go until there is room."""
        self.forget(key)
        self.make_room(size)
        self._kept[key] = (value, size)
        self.bytes += size

    def make_room(self, size: int) -> None:
        """Let others go until so many bytes fit, or nothing is left."""
        while self._kept and self.bytes + size > self.capacity:
            self.forget(next(iter(self._kept)))

    def forget(self, key: K) -> None:
        """Let one go; no such key is nothing."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self.bytes -= kept[1]
        if self._dropped is not None:
            self._dropped(key, kept[0])
