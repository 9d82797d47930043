"""Which image of a dataset is meant by a path, a name, a stem or a hash from somewhere else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from lorasmith.dataset.folders import CAPTION_EXTENSIONS
from lorasmith.dataset.reading import Item
from lorasmith.images.opening import EXTENSIONS

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_HASH_FITS = 1_000_000


class Matcher:
    """Finds items by what other tools call them."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._by_hash: dict[str, list[Item]] = {}
        self._by_name: dict[str, list[Item]] = {}
        self._by_stem: dict[str, list[Item]] = {}
        self._parts: dict[str, tuple[str, ...]] = {}
        for item in items:
            *folders, name = _split(item.path.as_posix())
            self._parts[item.name] = tuple(folders)
            self._by_hash.setdefault(item.facts.sha256, []).append(item)
            self._by_name.setdefault(name, []).append(item)
            self._by_stem.setdefault(PurePosixPath(name).stem, []).append(item)

    def find(self, key: str) -> tuple[tuple[Item, ...], int]:
        """(The items that `key` may mean: none, one, or several that it cannot tell apart; how well it fits them).

        A hash fits best, and means all copies of the file. Otherwise the file's name decides, with its extension
        before without; among images of one name, those that share the longest end of the path. Case and Unicode
        forms are folded.
        """
        if _SHA256.fullmatch(key):
            return tuple(self._by_hash.get(key.lower(), ())), _HASH_FITS
        *folders, name = _split(key) or [""]
        known = PurePosixPath(name).suffix.lower() in (*EXTENSIONS, *CAPTION_EXTENSIONS)
        stem = PurePosixPath(name).stem if name and known else ""  # "img.1" is a stem by itself
        candidates = self._by_name.get(name) or self._by_stem.get(name) or self._by_stem.get(stem, [])
        shared = [_shared(tuple(folders), self._parts[item.name]) for item in candidates]
        best = max(shared, default=0)
        return tuple(item for item, count in zip(candidates, shared, strict=True) if count == best), best


def _split(path: str) -> list[str]:
    plain = unicodedata.normalize("NFC", path).casefold().replace("\\", "/")
    return [part for part in plain.split("/") if part not in ("", ".")]


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many folders the two paths end with in common."""
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count
