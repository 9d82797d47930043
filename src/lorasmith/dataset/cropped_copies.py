"""Which images were cut out of which others: with the `[vision]` extra only.

Comparing every picture with every other is too much, so each keypoint is put under a few keys made of some of its
bits; pictures that share keys are looked at closely: how the keypoints lie, then the pixels.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lorasmith.dataset.evidence import Group
from lorasmith.dataset.fingerprinting import remember
from lorasmith.dataset.index import Index
from lorasmith.dataset.likeness import Distinct
from lorasmith.dataset.measuring import Measure, read_stat, take_ahead, warn_of_lost
from lorasmith.dataset.reading import Item
from lorasmith.events import Progress, Work, eta
from lorasmith.images.crops import Box as PixelBox
from lorasmith.images.crops import open_part
from lorasmith.images.fingerprints import WHOLE, Box
from lorasmith.images.keypoints import Keypoints, find_keypoints, place_both_ways, unpack
from lorasmith.images.similarity import Thumbnail, looks_same_inside, take_thumbnail
from lorasmith.pools.dealing import deal_out
from lorasmith.pools.pool import Job

_KEYPOINTS, _RESULT = "keypoints-1", "cuttings-1"  # up when the measure changes
_TABLES, _KEY_BITS = 4, 20
_VOTES = 5
"""So many keys must be shared before two pictures are looked at."""
_CANDIDATES = 8
"""Pictures that one is looked at with, those that share most keys."""
_CROWD = 12
"""A key that so many pictures have tells nothing."""
_REMEMBERED = 256
"""Pictures whose keypoints are held while pairs are compared."""
_Keys = npt.NDArray[np.uint32]
_Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ComparedImage:
    """A picture as it is searched for cropped copies: its content's key, `keypoints` when asked for, and the thumbnails
    of the whole or of the part in a box (shares of width and height)."""

    name: str
    sha256: str
    keypoints: Callable[[], Keypoints]
    thumbnail: Callable[[Box], Thumbnail]


@dataclass(frozen=True)
class CroppedCopy:
    """The picture `part` shows what lies in `box` of the picture `whole`; names."""

    part: str
    whole: str
    box: Box


def group_cropped_copies(
    index: Index, items: Sequence[Item], distinct: Distinct = frozenset()
) -> Work[tuple[Group, ...]]:
    """Groups of kind "cropped": a picture and what was cut out of it. Without changes nothing is searched again.
    Raises DatasetError without OpenCV."""
    facts = [[item.name, item.facts.sha256, item.crop] for item in items]
    apart = sorted(sorted(pair) for pair in distinct)
    key = hashlib.sha256(json.dumps([facts, apart]).encode("utf-8", "surrogateescape")).hexdigest()
    known = index.recall(_RESULT, key)
    if known is None:
        lost = yield from take_ahead(index, KEYPOINTS, items, [read_stat(item.path) for item in items])
        yield from warn_of_lost([items[place].name for place in sorted(lost)], "looking for cropped copies")
        compared = [_compared(index, item) for place, item in enumerate(items) if place not in lost]
        copies = yield from find_cropped_copies(compared, distinct)
        parts: dict[str, list[str]] = {}
        for copy in copies:
            parts.setdefault(copy.whole, []).append(copy.part)
        known = sorted([whole, *cut] for whole, cut in parts.items())
        index.keep(_RESULT, key, known)
    return tuple(Group("cropped", tuple(names), "it shows more") for names in known)


def open_keypoints() -> Callable[[tuple[Path, PixelBox | None]], bytes]:
    """Of a file, or of a part of it, the keypoints as the index keeps them."""
    return lambda place: find_keypoints(*place).pack()


KEYPOINTS = Measure(_KEYPOINTS, Job(open_keypoints), "finding keypoints", packed=True)


def _compared(index: Index, item: Item) -> ComparedImage:
    def give_keypoints() -> Keypoints:
        return unpack(remember(index, _KEYPOINTS, item, lambda: find_keypoints(item.path, item.crop).pack()))

    return ComparedImage(
        item.name,
        item.facts.sha256,
        give_keypoints,
        lambda box: take_thumbnail(open_part(item.path, item.crop), box, Image.Resampling.BOX),
    )


def find_cropped_copies(
    images: Sequence[ComparedImage], distinct: Distinct = frozenset()
) -> Work[tuple[CroppedCopy, ...]]:
    """The pictures that are parts of others, each of the one that it has most in common with. Pairs in `distinct` are
    none. A hundred thousand would take hours: it grows with the pictures and the candidates of each."""
    keys: list[_Keys] = []
    total, started = 2 * len(images), time.monotonic()
    for done, image in enumerate(images, start=1):
        keys.append(make_keys(image.keypoints().bits))
        if done % 100 == 0:
            yield _progress(done, total, started)
    found: dict[int, CroppedCopy] = {}
    pairs = find_candidates(keys)
    lying = yield from _place_ahead(images, pairs)
    for done, (one, other) in enumerate(pairs, start=1):
        if frozenset((images[one].sha256, images[other].sha256)) not in distinct:
            for part, whole in ((one, other), (other, one)):
                if part in found:
                    continue
                box = lying[part, whole]
                if box and _shows_the_same(images[part], images[whole], box):
                    found[part] = CroppedCopy(images[part].name, images[whole].name, box)
                    break
        if done % 100 == 0:
            yield _progress(len(images) + done * len(images) // len(pairs), total, started)
    return tuple(found[part] for part in sorted(found))


def _progress(done: int, total: int, started: float) -> Progress:
    return Progress("looking for cropped copies", done, total, eta(started, done, total))


def make_keys(bits_NB: npt.NDArray[np.uint8]) -> _Keys:
    """The keys of keypoints, shape (tables, N): of each table some of their bits as one number."""
    places = np.random.default_rng(0).permutation(bits_NB.shape[1] * 8)[: _TABLES * _KEY_BITS]
    chosen = np.unpackbits(bits_NB, axis=1)[:, places].reshape(-1, _TABLES, _KEY_BITS).astype(np.uint32)
    keys: _Keys = (chosen << np.arange(_KEY_BITS, dtype=np.uint32)).sum(axis=2, dtype=np.uint32).T
    return keys


def find_candidates(keys: Sequence[_Keys]) -> list[tuple[int, int]]:
    """The pairs of pictures that share keys, those that share most first."""
    shared = [pairs for table in range(_TABLES) for pairs in _meet([of[table] for of in keys])]
    if not shared:
        return []
    pairs, votes = np.unique(np.concatenate(shared), return_counts=True)
    enough = votes >= _VOTES
    pairs, votes = pairs[enough], votes[enough]
    taken = np.zeros(len(keys), np.int64)
    chosen: list[tuple[int, int]] = []
    for pair in pairs[np.argsort(-votes, kind="stable")].tolist():
        one, other = divmod(pair, len(keys))
        if min(taken[one], taken[other]) < _CANDIDATES:
            taken[[one, other]] += 1
            chosen.append((one, other))
    return chosen


def _meet(keys: Sequence[npt.NDArray[np.uint32]]) -> Iterator[_Pairs]:
    """The pairs of pictures under one key, as one number each, once for every key."""
    count = len(keys)
    distinct = [np.unique(of) for of in keys]
    owners = np.repeat(np.arange(count), [len(of) for of in distinct])
    flat = np.concatenate(distinct) if count else np.empty(0, np.uint32)
    order = np.argsort(flat, kind="stable")  # owners of one key stay in order
    flat, owners = flat[order], owners[order]
    starts = np.flatnonzero(np.diff(flat, prepend=flat[:1] + np.uint32(1))) if len(flat) else np.empty(0, np.int64)
    lengths = np.diff(starts, append=len(flat))
    for length in range(2, _CROWD + 1):
        heads = starts[lengths == length]
        for one in range(length):
            for other in range(one + 1, length):
                yield owners[heads + one] * count + owners[heads + other]


def _place_ahead(
    images: Sequence[ComparedImage], pairs: Sequence[tuple[int, int]]
) -> Work[dict[tuple[int, int], Box | None]]:
    """Where each picture of the pairs lies in the other, by its keypoints."""
    lying: dict[tuple[int, int], Box | None] = {}

    def learn(place: int, boxes: tuple[Box | None, Box | None]) -> None:
        one, other = ordered[place]
        lying[one, other], lying[other, one] = boxes

    ordered = sorted(pairs)
    both = _Keypoints(images, ordered)
    yield from deal_out(Job(open_places), both, "comparing pairs", learn, chunk=32)
    return lying


class _Keypoints(Sequence[tuple[Keypoints, Keypoints]]):
    """The keypoints of pairs of pictures, fetched when a pair's turn comes. Pairs of one picture that follow each other
    have the same object of it, which is sent once with them."""

    def __init__(self, images: Sequence[ComparedImage], pairs: Sequence[tuple[int, int]]) -> None:
        self._pairs = pairs
        self._of = lru_cache(_REMEMBERED)(lambda number: images[number].keypoints())

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, place: Any) -> Any:
        one, other = self._pairs[place]
        return self._of(one), self._of(other)


def open_places() -> Callable[[tuple[Keypoints, Keypoints]], tuple[Box | None, Box | None]]:
    """Where the one lies in the other, and the other in the one."""
    return lambda pair: place_both_ways(*pair)


def _shows_the_same(part: ComparedImage, whole: ComparedImage, box: Box) -> bool:
    """Whether the pixels agree, too."""
    return looks_same_inside(part.thumbnail(WHOLE), whole.thumbnail(box))
