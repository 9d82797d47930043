"""The list of the refusal, read: refused.toml beside the package, which says how its entries are written."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

ENGLISH = "english"
"""The language of the entries at the file's top."""
WITHOUT_SPACES = ("japanese", "chinese", "korean")
"""Languages whose words are found anywhere in a text."""
SIDES = ("minor", "sexual", "either")


@dataclass(frozen=True)
class Language:
    """One language's entries, as they are written."""

    name: str
    minor: tuple[str, ...] = ()
    sexual: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    ages: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    tens: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    letters: str = ""
    alone: Mapping[str, tuple[str, ...]] | None = None
    beside: Mapping[str, tuple[str, ...]] | None = None

    @property
    def spaced(self) -> bool:
        """Whether its words stand apart."""
        return self.name not in WITHOUT_SPACES

    @property
    def number_words(self) -> tuple[str, ...]:
        """Every word for a number below 18."""
        return tuple(form for entry in self.numbers for form in entry.split("/"))


@dataclass(frozen=True)
class RefusalList:
    """The whole list. `things` have ages that are nobody's; `persons` say that an age is somebody's all the same;
    `fillers` are what is written into one word with others."""

    languages: tuple[Language, ...]
    things: tuple[str, ...]
    persons: tuple[str, ...]
    fillers: tuple[str, ...]

    def find(self, reference: str) -> str:
        """The entry of an id: "japanese.minor.3", "english.alone.sexual.0", "things.2"."""
        *path, number = reference.split(".")
        found: Any = self
        for name in path:
            if isinstance(found, RefusalList):
                spoken = [each for each in self.languages if each.name == name]
                found = spoken[0] if spoken else getattr(self, name)
            else:
                found = found[name] if isinstance(found, Mapping) else getattr(found, name)
        return str(found[int(number)])


@lru_cache(maxsize=1)
def read_list() -> RefusalList:
    """The shipped list."""
    table = tomllib.loads(files("lorasmith.tags").joinpath("refused.toml").read_text("utf-8"))
    others = {name: value for name, value in table.items() if isinstance(value, dict) and "minor" in value}
    others.pop("alone", None)
    own = {name: value for name, value in table.items() if name not in others}
    general = {name: tuple(own.pop(name)) for name in ("things", "persons", "fillers")}
    languages = (_language(ENGLISH, own), *(_language(name, value) for name, value in others.items()))
    return RefusalList(languages, **general)


def _language(name: str, table: Mapping[str, Any]) -> Language:
    return Language(name, **{key: _frozen(value) for key, value in table.items()})


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: tuple(entries) for name, entries in value.items()}
    return tuple(value) if isinstance(value, list) else value
