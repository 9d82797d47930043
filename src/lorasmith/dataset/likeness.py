"""Which images of a dataset show the same picture, and which of them is the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lorasmith.dataset.evidence import Group, Likeness
from lorasmith.dataset.grouping import near_pairs
from lorasmith.images.fingerprints import HASH_DISTANCE, WHOLE, Fingerprint
from lorasmith.images.looks import Look, looks_same

Distinct = frozenset[frozenset[str]]
"""Pairs of sha256 that the user has called different pictures."""

_KINDS: tuple[Likeness, ...] = ("same", "near", "mirrored", "padded", "cropped")
_CLOSE = math.log(1.05)
"""Sizes within 5 % of each other count as equal."""


@dataclass(frozen=True)
class Portrait:
    """What grouping needs to know of an image. `size` is its file's in bytes; `look` gives its 64-pixel view and
    `inner_look` that of the part within its borders; they are only asked where hashes agree."""

    name: str
    sha256: str
    pixels: int
    size: int
    lossless: bool
    captioned: bool
    fingerprint: Fingerprint
    look: Callable[[], Look]
    inner_look: Callable[[], Look]

    @property
    def inner_pixels(self) -> float:
        """Its pixels without uniform borders."""
        left, top, right, bottom = self.fingerprint.box
        return max(1.0, self.pixels * (right - left) * (bottom - top))

    @property
    def bordered(self) -> bool:
        return self.fingerprint.box != WHOLE


def group_images(
    portraits: Sequence[Portrait],
    distinct: Distinct = frozenset(),
    cuttings: Callable[[Sequence[Portrait]], Mapping[str, str]] | None = None,
) -> tuple[Group, ...]:
    """Group the images that show the same picture: the same file, a changed copy, a mirror image, one with other
    borders around it, and (when `cuttings` can tell) a part of another.

    Groups are stars around the best image, so that chains of small changes do not run together. The best has the most
    pixels within its borders, then the narrowest borders, then the least blur, then a lossless format, then the
    largest file, then a caption, then the first name. Pairs in `distinct` are no group. `cuttings` gives, of portraits
    that are in no other group, name by name the one that it is cut out of.
    """
    copies: dict[str, list[Portrait]] = {}
    for portrait in sorted(portraits, key=_rank):
        copies.setdefault(portrait.sha256, []).append(portrait)
    ranked = [same[0] for same in copies.values()]
    taken: set[int] = set()
    groups: list[Group] = []
    alone: list[Portrait] = []
    later = _candidates(ranked)
    for number, best in enumerate(ranked):
        if number in taken:
            continue
        members: dict[Likeness, list[Portrait]] = {"same": copies[best.sha256][1:]}
        for place in later(number):
            other = ranked[place]
            if place in taken or frozenset((best.sha256, other.sha256)) in distinct:
                continue
            kind = _likeness(best, other)
            if kind:
                taken.add(place)
                members.setdefault(kind, []).extend(copies[other.sha256])
        groups += [_group(kind, best, members[kind]) for kind in _KINDS if members.get(kind)]
        alone.append(best)
    if cuttings is not None:
        groups += _group_cuttings(alone, cuttings(alone), distinct)
    return tuple(groups)


def _group(kind: Likeness, best: Portrait, others: Sequence[Portrait]) -> Group:
    return Group(kind, (best.name, *(other.name for other in others)), _reason(best, min(others, key=_rank)))


def _group_cuttings(alone: Sequence[Portrait], cuttings: Mapping[str, str], distinct: Distinct) -> Iterator[Group]:
    by_name = {portrait.name: portrait for portrait in alone}
    parts: dict[str, list[str]] = {}
    for part, whole in cuttings.items():
        if frozenset((by_name[part].sha256, by_name[whole].sha256)) not in distinct:
            parts.setdefault(whole, []).append(part)
    for whole, names in parts.items():
        yield Group("cropped", (whole, *names), "it shows all of the picture")


def _rank(portrait: Portrait) -> tuple[int, float, float, int, bool, int, bool, str]:
    left, top, right, bottom = portrait.fingerprint.box
    border = round(1 - (right - left) * (bottom - top), 1)
    blur = round(portrait.fingerprint.blur, 2)
    return (
        -round(math.log(portrait.inner_pixels) / _CLOSE),
        border,
        blur,
        -portrait.pixels,
        not portrait.lossless,
        -portrait.size,
        not portrait.captioned,
        portrait.name,
    )


def _reason(best: Portrait, second: Portrait) -> str:
    """Why `best` is ranked before `second`, in words."""
    if best.sha256 == second.sha256:
        return "it has a caption" if best.captioned and not second.captioned else "the files are identical"
    times = best.inner_pixels / second.inner_pixels
    words = (
        f"{times:.0f} times the pixels" if times > 1.9 else f"{times:.1f} times the pixels",
        "narrower borders",
        "sharper",
        "more pixels",
        "saved without loss",
        "the larger file",
        "it has a caption",
        "equally good, the first by name",
    )
    return next(word for word, one, two in zip(words, _rank(best), _rank(second), strict=True) if one != two)


def _likeness(best: Portrait, other: Portrait) -> Likeness | None:
    one, two = best.fingerprint, other.fingerprint
    if _near(one.phash, two.phash) and looks_same(best.look(), other.look()):
        return "near"
    if _near(one.phash, two.mirrored) and looks_same(best.look(), np.ascontiguousarray(other.look()[:, ::-1])):
        return "mirrored"
    if not (best.bordered or other.bordered) or not _near(one.inner, two.inner):
        return None
    return "padded" if looks_same(best.inner_look(), other.inner_look()) else None


def _near(one: int, other: int) -> bool:
    return (one ^ other).bit_count() <= HASH_DISTANCE


def _candidates(ranked: Sequence[Portrait]) -> Callable[[int], list[int]]:
    """A function from an image's place to the later places where a hash is near, in order."""
    prints = [portrait.fingerprint for portrait in ranked]
    hashes = np.array([made.phash for made in prints], np.uint64)
    found = [
        near_pairs(hashes, hashes, HASH_DISTANCE),
        near_pairs(hashes, np.array([made.mirrored for made in prints], np.uint64), HASH_DISTANCE),
    ]
    if any(portrait.bordered for portrait in ranked):
        inner = np.array([made.inner for made in prints], np.uint64)
        found.append(near_pairs(inner, inner, HASH_DISTANCE))
    pairs = np.unique(np.concatenate(found), axis=0)
    starts = np.searchsorted(pairs[:, 0], np.arange(len(ranked) + 1))
    return lambda place: [int(later) for later in pairs[starts[place] : starts[place + 1], 1]]
