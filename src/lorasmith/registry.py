"""Registries: what can be chosen by name. The folder is the list, and anything may be registered at run time."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from lorasmith.errors import did_you_mean


class Named(Protocol):
    """An entry: anything with a name that does not change."""

    @property
    def name(self) -> str: ...


E = TypeVar("E", bound=Named)


class Registry(Mapping[str, E]):
    """Entries by name: the given ones and those that the modules in the folder of `package` hold as `constant`, in
    the order of the modules' names, then what was registered. The folder is looked through when an entry is first
    asked for; `noun` says what an entry is."""

    def __init__(self, noun: str, package: str = "", constant: str = "", entries: Iterable[E] = ()) -> None:
        self.noun = noun
        self._package = package
        self._constant = constant
        self._given = {entry.name: entry for entry in entries}
        self._found: dict[str, E] | None = None if package else self._given

    @property
    def _entries(self) -> dict[str, E]:
        if self._found is None:
            found = dict(self._given)
            for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__):
                entry = vars(importlib.import_module(f"{self._package}.{module.name}")).get(self._constant)
                if entry is not None:
                    found[entry.name] = entry
            self._found = found
        return self._found

    def register(self, entry: E) -> E:
        """Make an entry known; gives it back. Raises ValueError when its name is taken."""
        if entry.name in self._entries:
            raise ValueError(f"there is {self.noun} {entry.name} already")
        self._entries[entry.name] = entry
        return entry

    def remove(self, entry: E) -> None:
        """Forget an entry that was registered."""
        del self._entries[entry.name]

    def suggest(self, name: str) -> str:
        """What to choose instead of a name that is not there: the nearest one, or all."""
        return did_you_mean(name, self) or f"Known: {', '.join(self)}."

    def __getitem__(self, name: str) -> E:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
