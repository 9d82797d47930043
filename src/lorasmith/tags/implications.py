"""Which tags another tag implies (T9): by an explicit list, never by how a tag ends ("hot dog" is no "dog")."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple


class _Listed(NamedTuple):
    """What implications.toml says, in the form of `tag_key`."""

    implied: Mapping[str, tuple[str, ...]]
    garments: frozenset[str]
    qualifiers: frozenset[str]


@cache
def _listed() -> _Listed:
    table = tomllib.loads((files("lorasmith") / "tags" / "implications.toml").read_text("utf-8"))
    nouns = " ".join(table["garments"]["nouns"].split()).split(", ")
    implied = {tag: tuple(parents) for tag, parents in table["implied"].items()}
    return _Listed(implied, frozenset(nouns), frozenset(table["garments"]["qualifiers"].split()))


def is_implying(key: str) -> bool:
    """Whether the tag stands in the list by itself."""
    return key in _listed().implied


@lru_cache(maxsize=65536)
def implied_by(key: str) -> tuple[str, ...]:
    """The tags that the tag `key` implies: what the list says, and of a garment with listed qualifiers ("dark red
    shirt") the same with fewer of them."""
    listed, words = _listed(), key.split(" ")
    found = list(listed.implied.get(key, ()))
    for start in range(1, len(words)):
        if words[start - 1] not in listed.qualifiers:
            break
        rest = " ".join(words[start:])
        noun = next((" ".join(words[at:]) for at in range(start, len(words)) if words[at] not in listed.qualifiers), "")
        if noun in listed.garments or noun in listed.implied:
            found += [rest, *(parent for parent in listed.implied.get(rest, ()))]
    return tuple(dict.fromkeys(found))
