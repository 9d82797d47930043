"""Which images of a dataset show the same picture, and which of them is the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lorasmith.dataset.evidence import Group, Likeness
from lorasmith.images.fingerprints import HASH_DISTANCE, Fingerprint, Look, looks_same

_BLOCK_PAIRS = 1 << 22


@dataclass(frozen=True)
class Portrait:
    """What grouping needs to know of an image. `size` is its file's in bytes; `look` gives its 64-pixel view, and
    is only asked where hashes agree."""

    name: str
    sha256: str
    pixels: int
    size: int
    lossless: bool
    captioned: bool
    fingerprint: Fingerprint
    look: Callable[[], Look]


def group_images(portraits: Sequence[Portrait]) -> tuple[Group, ...]:
    """Group the images that show the same picture: the same file, a changed copy, or a mirror image.

    Groups are stars around the best image, so that chains of small changes do not run together. The best has the
    most pixels, then the least blur, then a lossless format, then the largest file, then a caption, then the first
    name. Every pair of hashes is compared.
    """
    copies: dict[str, list[Portrait]] = {}
    for portrait in sorted(portraits, key=_rank):
        copies.setdefault(portrait.sha256, []).append(portrait)
    ranked = [same[0] for same in copies.values()]
    near, taken = _candidates(ranked), set[int]()
    groups: list[Group] = []
    for number, best in enumerate(ranked):
        if number in taken:
            continue
        members: dict[Likeness, list[str]] = {"same": [clone.name for clone in copies[best.sha256][1:]]}
        for other in sorted(near.get(number, set()) - taken):
            kind = _likeness(best, ranked[other])
            if kind:
                taken.add(other)
                members.setdefault(kind, []).extend(copy.name for copy in copies[ranked[other].sha256])
        groups += [Group(kind, (best.name, *names)) for kind, names in members.items() if names]
    return tuple(groups)


def _rank(portrait: Portrait) -> tuple[int, float, bool, int, bool, str]:
    blur = round(portrait.fingerprint.blur, 2)
    return -portrait.pixels, blur, not portrait.lossless, -portrait.size, not portrait.captioned, portrait.name


def _likeness(best: Portrait, other: Portrait) -> Likeness | None:
    one, two = best.look(), other.look()
    if looks_same(one, two):
        return "near"
    return "mirrored" if looks_same(one, np.ascontiguousarray(two[:, ::-1])) else None


def _candidates(ranked: Sequence[Portrait]) -> dict[int, set[int]]:
    """For each image, by its place, the later ones whose hash or mirrored hash is near."""
    hashes = np.array([portrait.fingerprint.phash for portrait in ranked], dtype=np.uint64)
    mirrored = np.array([portrait.fingerprint.mirrored for portrait in ranked], dtype=np.uint64)
    near: dict[int, set[int]] = {}
    for others in (hashes, mirrored):
        for one, other in near_pairs(hashes, others, HASH_DISTANCE):
            near.setdefault(one, set()).add(other)
    return near


def near_pairs(
    hashes: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64], distance: int
) -> Iterator[tuple[int, int]]:
    """All (i, j) with i < j and popcount(hashes[i] ^ others[j]) <= distance; 10,000 hashes take half a second."""
    height = max(1, _BLOCK_PAIRS // max(1, len(hashes)))
    for start in range(0, len(hashes), height):
        rows = hashes[start : start + height, None]
        close = np.bitwise_count(rows ^ others[None, start:]) <= distance
        for row, column in np.argwhere(close):
            if row < column:
                yield start + int(row), start + int(column)
