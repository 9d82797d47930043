"""Another trainer's nested settings: each is taken by its path, and what nobody took is listed in the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lorasmith.errors import RecipeError
from lorasmith.recipe.exchange.imported import Imported, at_least_one, flag, number, sides, text, whole

T = TypeVar("T")

NOTHING: tuple[Any, ...] = (None, "", False, [], {})
"""What says that something is off, whatever the trainer: it is not listed."""
MOST_VALUES = 100_000
"""In one file, written out: an alias of YAML may stand for a table many times over."""
_EXPECTED: Mapping[Any, str] = {
    number: "a number",
    whole: "a whole number",
    at_least_one: "a whole number above 0",
    flag: "true or false",
    text: "text",
    sides: "a side in pixels, or two",
}


@dataclass
class Settings:
    """A table of settings; `where` is its path in the file, `result` what comes of it. Tables within it (`within`)
    share its list of faults."""

    table: Mapping[str, Any]
    result: Imported
    where: str = ""
    faults: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    def path(self, key: str) -> str:
        """The key as it stands in the file, with the tables that it is in."""
        return f"{self.where}.{key}" if self.where else key

    def within(self, key: str) -> Settings:
        """The table under this key, an empty one where there is none."""
        found = self.table.get(key)
        self.taken.add(key)
        if found is not None and not isinstance(found, Mapping):
            self.blame(key, found, "a table is expected")
        return Settings(found if isinstance(found, Mapping) else {}, self.result, self.path(key), self.faults)

    def entries(self, key: str) -> list[Settings]:
        """The tables in the list under this key."""
        found = self.table.get(key)
        self.taken.add(key)
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
            self.blame(key, found, "a list of tables is expected")
            return []
        return [
            Settings(each, self.result, f"{self.path(key)}[{index}]", self.faults) for index, each in enumerate(found)
        ]

    def value(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """A value, or the trainer's default where it is not given. What `read` refuses is a fault."""
        found = self.table.get(key)
        self.taken.add(key)
        if found is None:
            return default
        try:
            return read(found)
        except (ValueError, TypeError, OverflowError):
            self.blame(key, found, f"{_EXPECTED.get(read, 'another value')} is expected")
            return default

    def take(self, key: str, ours: str, read: Callable[[Any], Any], default: Any) -> Any:
        """A value as that of one of our keys; gives it."""
        found = self.value(key, read, default)
        self.result.put(ours, found)
        return found

    def drop(self, key: str, reason: str) -> None:
        """List what stands under a key, where anything does."""
        self.taken.add(key)
        if self.table.get(key) is not None:
            self.result.drop(self.path(key), self.table[key], reason)

    def note(self, key: str, words: str) -> None:
        """Tell what stands under a key, where anything does."""
        self.taken.add(key)
        if self.table.get(key) not in NOTHING:
            self.result.notes.append(f"{self.path(key)} = {self.table[key]}: {words}.")

    def blame(self, key: str, value: Any, words: str) -> None:
        """Tell a value that cannot be meant."""
        self.faults.append(f"{self.path(key)} = {_short(value)}: {words}.")

    def tell_rest(self, technical: Collection[str] = (), usual: Mapping[str, Any] | None = None) -> None:
        """List what nobody took. `technical` keys concern the machine and files; a value that is `usual` is what the
        trainer does anyway."""
        for key, value in self.table.items():
            if key in self.taken or key in technical or value in NOTHING:
                continue
            if usual is None or key not in usual or usual[key] != value:
                for path, single in _leaves(self.path(key), value):
                    self.result.drop(path, single, "has no counterpart here")

    def check(self) -> None:
        """Raise RecipeError listing every fault."""
        if self.faults:
            raise RecipeError("\n".join(self.faults))


def one_of(words: Mapping[str, T]) -> Callable[[Any], T]:
    """What reads a word in any case, as the value that it has here; ValueError for another one."""

    def read(value: Any) -> T:
        if not isinstance(value, str) or value.lower() not in words:
            raise ValueError
        return words[value.lower()]

    return read


def checked_size(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document, its keys text. Raises ValueError where it has too many values, or goes round in a circle."""
    left = [MOST_VALUES]

    def copy(value: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise ValueError(f"more than {MOST_VALUES:,} values")
        if isinstance(value, Mapping):
            return {str(key): copy(each) for key, each in value.items()}
        return [copy(each) for each in value] if isinstance(value, list) else value

    return {str(key): copy(value) for key, value in document.items()}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            if each not in NOTHING:
                yield from _leaves(f"{path}.{key}", each)
    else:
        yield path, value


def _short(value: Any) -> str:
    spelt = repr(value)
    return spelt if len(spelt) <= 60 else f"{spelt[:57]}..."
