"""Encoded texts that are kept: one cache for training's captions and for drawing's prompts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from lorasmith.bases.text.context import Context

TEXTS_KEPT = 4096
BYTES_KEPT = 2**28
Key = TypeVar("Key", bound=Hashable)


class ContextCache(Generic[Key]):
    """Contexts of one row by what they were made from; the least recently used go first.

    With `from_second` a text is kept when it is encoded for the second time: shuffled captions hardly ever come again,
    and would only fill the memory.
    """

    def __init__(self, texts: int = TEXTS_KEPT, nbytes: int = BYTES_KEPT, from_second: bool = False) -> None:
        self._most, self._room, self._from_second = texts, nbytes, from_second
        self._kept: OrderedDict[Key, Context] = OrderedDict()
        self._asked: set[Key] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Memory of what is kept."""
        return self._bytes

    def recall(self, keys: Sequence[Key], encode: Callable[[list[Key]], Context]) -> Context:
        """A row for each key; `encode` gives the rows of those that are not known, once each."""
        new = [key for key in dict.fromkeys(keys) if key not in self._kept]
        rows = {key: self._kept[key] for key in keys if key in self._kept}
        for key in rows:
            self._kept.move_to_end(key)
        if new:
            context = encode(new)
            fresh = {key: context[row : row + 1].clone() for row, key in enumerate(new)}
            rows |= fresh
            for key, row in fresh.items():
                self._keep(key, row)
        return Context.join([rows[key] for key in keys])

    def _keep(self, key: Key, row: Context) -> None:
        if self._from_second and key not in self._asked:
            if len(self._asked) >= self._most:
                self._asked.clear()
            self._asked.add(key)
            return
        self._kept[key] = row
        self._bytes += row.nbytes
        while self._kept and (self._bytes > self._room or len(self._kept) > self._most):
            _, old = self._kept.popitem(last=False)
            self._bytes -= old.nbytes
