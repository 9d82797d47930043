"""Fingerprints of a dataset's images, remembered in the project's index."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from lorasmith.dataset.index import Index
from lorasmith.dataset.likeness import Portrait
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError
from lorasmith.events import Progress, Work
from lorasmith.images.exposure import Exposure
from lorasmith.images.fingerprints import Fingerprint, fingerprint
from lorasmith.images.looks import LOOK_SIDE, Look, look, look_inside

_LOSSLESS = ("png", "bmp", "tiff")
_PRINT, _LOOK, _INNER_LOOK = "fingerprint-4", "look-3", "inner-look-3"  # up when the measure changes


def portray(index: Index, dataset: Dataset) -> Work[tuple[Portrait, ...]]:
    """A portrait of every image; unchanged files are not decoded again. Use them while the index is open.

    No picture and no look is held in memory.
    """
    portraits: list[Portrait] = []
    total = len(dataset.items)
    step = max(1, total // 100)
    for done, item in enumerate(dataset.items, start=1):
        portraits.append(_portrait(index, item))
        if done % step == 0 or done == total:
            yield Progress("comparing images", done, total)
    return tuple(portraits)


def _portrait(index: Index, item: Item) -> Portrait:
    stat = _stat(item.path)
    known = index.known(_PRINT, item.path, stat)
    if known is None:
        made = fingerprint(item.path)
        index.learn(_PRINT, item.path, stat, _pack(made))
    else:
        made = _unpack(known)
    return Portrait(
        name=item.name,
        sha256=item.facts.sha256,
        pixels=item.facts.width * item.facts.height,
        size=stat.st_size,
        lossless=item.facts.format in _LOSSLESS,
        captioned=bool(item.caption),
        fingerprint=made,
        look=_remembered_look(index, _LOOK, item.path, look),
        inner_look=_remembered_look(index, _INNER_LOOK, item.path, look_inside),
    )


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as fault:
        raise DatasetError(
            f"went away while it was being looked at ({fault.strerror}).", where=path, hint="Try again."
        ) from None


def _pack(made: Fingerprint) -> list[object]:
    return [made.phash, made.mirrored, made.blur, list(astuple(made.exposure)), made.inner, list(made.box)]


def _unpack(known: list[Any]) -> Fingerprint:
    phash, mirrored, blur, exposure, inner, box = known
    left, top, right, bottom = box
    return Fingerprint(phash, mirrored, blur, Exposure(*exposure), inner, (left, top, right, bottom))


def _remembered_look(index: Index, topic: str, path: Path, look_at: Callable[[Path], Look]) -> Callable[[], Look]:
    """The 64-pixel view of a file, made when first asked for and kept in the index."""

    def give() -> Look:
        stat = _stat(path)
        known = index.known_bytes(topic, path, stat)
        if known is None:
            made = look_at(path)
            index.learn_bytes(topic, path, stat, made.tobytes())
            return made
        return np.frombuffer(known, np.uint8).reshape(LOOK_SIDE, LOOK_SIDE, 3)

    return give
