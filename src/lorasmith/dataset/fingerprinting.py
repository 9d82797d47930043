"""Fingerprints of a dataset's images, remembered in the project's index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lorasmith.dataset.index import Index
from lorasmith.dataset.likeness import Portrait
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError
from lorasmith.events import Progress, Work
from lorasmith.images.fingerprints import LOOK_SIDE, Fingerprint, Look, fingerprint, look

_LOSSLESS = ("png", "bmp", "tiff")
_PRINT, _LOOK = "fingerprint-1", "look-1"  # the number goes up when the measure changes


def portray(index: Index, dataset: Dataset) -> Work[tuple[Portrait, ...]]:
    """A portrait of every image; unchanged files are not decoded again. Use them while the index is open."""
    portraits: list[Portrait] = []
    total = len(dataset.items)
    step = max(1, total // 100)
    for done, item in enumerate(dataset.items, start=1):
        portraits.append(_portrait(index, item))
        if done % step == 0 or done == total:
            yield Progress("comparing images", done, total)
    return tuple(portraits)


def _portrait(index: Index, item: Item) -> Portrait:
    try:
        stat = item.path.stat()
    except OSError as fault:
        raise DatasetError(
            f"went away while it was being looked at ({fault.strerror}).", where=item.path, hint="Try again."
        ) from None
    known = index.known(_PRINT, item.path, stat)
    if known is None:
        made = fingerprint(item.path)
        index.learn(_PRINT, item.path, stat, [made.phash, made.mirrored, made.blur])
    else:
        made = Fingerprint(*known)
    return Portrait(
        name=item.name,
        sha256=item.facts.sha256,
        pixels=item.facts.width * item.facts.height,
        size=stat.st_size,
        lossless=item.facts.format in _LOSSLESS,
        captioned=bool(item.caption),
        fingerprint=made,
        look=_remembered_look(index, item.path),
    )


def _remembered_look(index: Index, path: Path) -> Callable[[], Look]:
    """The 64-pixel view of a file, made when first asked for and kept in the index."""
    kept: list[Look] = []

    def give() -> Look:
        if not kept:
            kept.append(_look(index, path))
        return kept[0]

    return give


def _look(index: Index, path: Path) -> Look:
    stat = path.stat()
    known = index.known(_LOOK, path, stat)
    if known is not None:
        return np.frombuffer(bytes.fromhex(known), dtype=np.uint8).reshape(LOOK_SIDE, LOOK_SIDE, 3)
    made = look(path)
    index.learn(_LOOK, path, stat, made.tobytes().hex())
    return made
