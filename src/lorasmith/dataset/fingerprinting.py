"""Fingerprints of a dataset's images, remembered in the project's index."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np

from lorasmith.dataset.evidence import Group
from lorasmith.dataset.index import Index
from lorasmith.dataset.likeness import Distinct, Signature, group_images
from lorasmith.dataset.measuring import Measure, read_stat, take_ahead, topic_of, warn_of_lost
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.events import Progress, Work, eta
from lorasmith.images.crops import Box as PixelBox
from lorasmith.images.crops import open_part
from lorasmith.images.exposure import Exposure
from lorasmith.images.fingerprints import Fingerprint, fingerprint, take_fingerprint
from lorasmith.images.opening import open_rgb
from lorasmith.images.similarity import (
    THUMBNAIL_SIDE,
    Thumbnail,
    open_thumbnail,
    take_fine_thumbnail,
    take_inner_thumbnail,
    take_thumbnail,
)
from lorasmith.pools.pool import Job

_LOSSLESS = ("png", "bmp", "tiff")
_PRINT, _THUMBNAIL, _INNER_THUMBNAIL, _UNFRAMED_THUMBNAIL = "fingerprint-8", "look-4", "inner-look-6", "unframed-look-2"
"""Names of measures; up when the measure changes."""
_GROUPS = "groups-4"
"""Up when `group_images` or the second comparison calls other pictures the same."""
_BLUR = f"blur of {_PRINT}"


def take_signatures(index: Index, dataset: Dataset) -> Work[tuple[Signature, ...]]:
    """A signature of every image, of its crop where one is decided; unchanged files are not decoded again. Use them
    while the index is open.

    No picture and no thumbnail is held in memory. An image that ends every process that reads it has none.
    """
    stats = [read_stat(item.path) for item in dataset.items]
    lost = yield from take_ahead(index, FINGERPRINT, dataset.items, stats)
    yield from warn_of_lost([dataset.items[place].name for place in sorted(lost)], "comparing images")
    signatures: list[Signature] = []
    started = time.monotonic()
    total = len(dataset.items)
    step = max(1, total // 100)
    for done, (item, stat) in enumerate(zip(dataset.items, stats, strict=True), start=1):
        if done - 1 in lost:
            continue
        signatures.append(_signature(index, item, stat))
        if done % step == 0 or done == total:
            yield Progress("comparing images", done, total, eta(started, done, total))
    return tuple(signatures)


def open_fingerprints() -> Callable[[tuple[Path, PixelBox | None]], list[object]]:
    """Of a file, or of a part of it, the fingerprint as the index keeps it."""
    return lambda place: _pack(_print_of(*place))


def _print_of(path: Path, crop: PixelBox | None) -> Fingerprint:
    return fingerprint(path) if crop is None else take_fingerprint(open_part(path, crop))


FINGERPRINT = Measure(_PRINT, Job(open_fingerprints), "fingerprinting images")


def _signature(index: Index, item: Item, stat: os.stat_result) -> Signature:
    made = _unpack(index.known(topic_of(_PRINT, item), item.path, stat) or [])
    width, height = item.size
    return Signature(
        name=item.name,
        sha256=item.facts.sha256,
        pixels=width * height,
        size=stat.st_size,
        lossless=item.facts.format in _LOSSLESS,
        captioned=bool(item.caption),
        fingerprint=made,
        thumbnail=_remembered_thumbnail(index, _THUMBNAIL, item, _thumbnail),
        inner_thumbnail=_remembered_thumbnail(
            index, _INNER_THUMBNAIL, item, lambda item: _inner_thumbnail(item, made.borders)
        ),
        unframed_thumbnail=_remembered_thumbnail(
            index, _UNFRAMED_THUMBNAIL, item, lambda item: _inner_thumbnail(item, 1)
        ),
        fine_thumbnail=lambda: _fine_thumbnail(item),
    )


def remember_groups(index: Index, signatures: Sequence[Signature], distinct: Distinct) -> tuple[Group, ...]:
    """The groups of `group_images`, found again only when an image, its caption or a decision has changed."""
    facts: list[object] = [
        sorted(sorted(pair) for pair in distinct),
        _PRINT,
        _THUMBNAIL,
        _INNER_THUMBNAIL,
        _UNFRAMED_THUMBNAIL,
    ]
    facts += [
        [one.name, one.sha256, one.pixels, one.size, one.lossless, one.captioned, _pack(one.fingerprint)]
        for one in signatures
    ]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    known = index.recall(_GROUPS, key)
    if known is None:
        groups = group_images(signatures, distinct)
        index.keep(_GROUPS, key, [astuple(group) for group in groups])
        return groups
    return tuple(Group(kind, tuple(images), reason) for kind, images, reason in known)


def measure_blur(index: Index, dataset: Dataset) -> Work[Mapping[str, float]]:
    """`Fingerprint.blur` of every image by its name. While the dataset's contents stay as they were, no file is
    looked at. Images that went away since they were read are left out."""
    contents = "\n".join([item.content for item in dataset.items])
    key = hashlib.sha256(contents.encode()).hexdigest()
    known = index.recall(_BLUR, key)
    if known is None:
        present = replace(dataset, items=tuple(item for item in dataset.items if item.path.is_file()))
        signatures = yield from take_signatures(index, present)
        found = {one.name: one.fingerprint.blur for one in signatures}
        if len(found) == len(dataset.items):
            index.keep(_BLUR, key, list(found.values()))
        return found
    return {item.name: blur for item, blur in zip(dataset.items, known, strict=True)}


def _thumbnail(item: Item) -> Thumbnail:
    return open_thumbnail(item.path) if item.crop is None else take_thumbnail(open_part(item.path, item.crop))


def _fine_thumbnail(item: Item) -> Thumbnail:
    """Not kept: few pairs ask for it, and it takes 200 kB."""
    return take_fine_thumbnail(open_rgb(item.path) if item.crop is None else open_part(item.path, item.crop))


def _inner_thumbnail(item: Item, borders: int) -> Thumbnail:
    return take_inner_thumbnail(open_part(item.path, item.crop), borders)


def _pack(made: Fingerprint) -> list[object]:
    return [
        made.phash,
        made.mirrored,
        made.blur,
        list(astuple(made.exposure)),
        made.inner,
        list(made.box),
        made.borders,
        made.unframed,
        list(made.outer_box),
        made.bright,
    ]


def _unpack(known: list[Any]) -> Fingerprint:
    phash, mirrored, blur, exposure, inner, box, borders, unframed, outer_box, bright = known
    left, top, right, bottom = box
    light, part = Exposure(*exposure), (left, top, right, bottom)
    return Fingerprint(phash, mirrored, blur, light, inner, part, borders, unframed, tuple(outer_box), bright)


def _remembered_thumbnail(
    index: Index, measure: str, item: Item, take: Callable[[Item], Thumbnail]
) -> Callable[[], Thumbnail]:
    """The 64-pixel view of an image, made when first asked for and kept in the index."""

    def give() -> Thumbnail:
        known = remember(index, measure, item, lambda: take(item).tobytes())
        return np.frombuffer(known, np.uint8).reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)

    return give


def remember(index: Index, measure: str, item: Item, make: Callable[[], bytes]) -> bytes:
    """A measure of an image as bytes, made when the index does not have it, and kept there."""
    stat, topic = read_stat(item.path), topic_of(measure, item)
    known = index.known_bytes(topic, item.path, stat)
    if known is None:
        known = make()
        index.learn_bytes(topic, item.path, stat, known)
    return known
