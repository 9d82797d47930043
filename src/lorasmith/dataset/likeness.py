"""Which images of a dataset show the same picture, and which of them is the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt

from lorasmith.dataset.evidence import Group, Likeness
from lorasmith.dataset.grouping import Hashes, Places, near_pairs
from lorasmith.images.fingerprints import HASH_DISTANCE, INNER_DISTANCE, WHOLE, Box, Fingerprint
from lorasmith.images.similarity import (
    COARSE_MOST,
    COARSE_MOST_INSIDE,
    TONED_MOST,
    Thumbnail,
    coarse_colours,
    coarse_light,
    differ_coarsely,
    keeps_colours,
    looks_marked,
    looks_same,
    looks_same_inside,
    looks_toned,
    mirror_thumbnail,
)
from lorasmith.images.tones import differ_in_light, differ_in_tone

View = tuple[int, Callable[[], Thumbnail], Box]
"""A hash, the thumbnail that tells whether a near hash is of the same picture, and the part of it that they show."""
Distinct = frozenset[frozenset[str]]
"""Pairs of sha256 that the user has called different pictures."""

_KINDS: tuple[Likeness, ...] = ("same", "near", "mirrored", "padded", "cropped")
_CLOSE = math.log(1.05)
"""Sizes within 5 % of each other count as equal."""
_BLUR_STEP, _MUCH_LARGER = 0.1, 1.3
_SLACK, _AT_ONCE = 0.01, 1 << 16
_SAME_PART = 0.02
"""How far the edges of one part of two frames may lie apart, as a share of the side."""
_LOOKS, _ASKED, _ENOUGH, _CLEARLY = 3, 1000, 6, 1.0
"""How an image is turned: the part of its rank that is how it looks; how many images are asked at most and at least,
and the bits by which their hashes have to be nearer on average (a person with hair to one side: 2 to 8)."""
_TURNED = "turned as most of the others"


@dataclass(frozen=True)
class Signature:
    """What grouping needs to know of an image. `size` is its file's in bytes; `thumbnail` gives its 64-pixel view,
    `inner_look` that of the part within its borders and `unframed_look` that within the outermost of them; `fine_look`
    the whole at 256 pixels. They are only asked where hashes agree."""

    name: str
    sha256: str
    pixels: int
    size: int
    lossless: bool
    captioned: bool
    fingerprint: Fingerprint
    thumbnail: Callable[[], Thumbnail]
    inner_thumbnail: Callable[[], Thumbnail]
    unframed_thumbnail: Callable[[], Thumbnail]
    fine_thumbnail: Callable[[], Thumbnail]

    @property
    def views(self) -> tuple[View, ...]:
        """What it shows with all of its borders, without any, and without the outermost, where these differ."""
        made = self.fingerprint
        views = (
            (made.phash, self.thumbnail, WHOLE),
            (made.inner, self.inner_thumbnail, made.box),
            (made.unframed, self.unframed_thumbnail, made.outer_box),
        )
        return views[: made.borders + 1]

    @property
    def inner_pixels(self) -> float:
        """Its pixels without uniform borders."""
        left, top, right, bottom = self.fingerprint.box
        return max(1.0, self.pixels * (right - left) * (bottom - top))

    @property
    def border(self) -> float:
        """The share of it that is uniform border."""
        return 1 - self.inner_pixels / self.pixels


def group_images(
    signatures: Sequence[Signature],
    distinct: Distinct = frozenset(),
) -> tuple[Group, ...]:
    """Group the images that show the same picture: the same file, a changed copy, a mirror image, one with other
    borders around it.

    Groups are stars around the best image, so that chains of small changes do not run together. The best has the most
    pixels, then no blur, then a lossless format, then the larger file, then a caption, then the shorter name (copies
    are named after their original), then the first. Of a picture with and without borders the one without is better,
    unless it is much smaller. Of a picture and its mirror image, as large, as sharp and as lossless, the better one is
    turned as the other images mostly are, where they tell. Identical files are a group of their own ("same"), also
    when they are lesser copies in another group. Pairs in `distinct` are no group.
    """
    copies: dict[str, list[Signature]] = {}
    for signature in sorted(signatures, key=_rank):
        copies.setdefault(signature.sha256, []).append(signature)
    ranked = [same[0] for same in copies.values()]
    hashes = [signature.fingerprint.phash for signature in ranked[:: len(ranked) // _ASKED + 1]]
    kin: dict[int, list[int]] = {}
    framed: set[str] = set()
    kind_of = cache(lambda one, other: _likeness(ranked[one], ranked[other]))  # pairs, the better one first
    for one, other in _candidates(ranked):
        if frozenset((ranked[one].sha256, ranked[other].sha256)) in distinct:
            continue
        kin.setdefault(one, []).append(other)
        kin.setdefault(other, []).append(one)
        if _near_views(ranked[one], ranked[other]) and kind_of(one, other) == "padded":
            framed.add(_framed(ranked[one], ranked[other]))
    taken: set[int] = set()
    groups: list[Group] = []
    for number in sorted(range(len(ranked)), key=lambda place: (ranked[place].sha256 in framed, place)):
        if number in taken:
            continue
        taken.add(number)
        best = ranked[number]
        members: dict[Likeness, list[Signature]] = {}
        for place in sorted(kin.get(number, ())):
            if place in taken:
                continue
            kind = kind_of(min(number, place), max(number, place))
            if kind:
                taken.add(place)
                members.setdefault(kind, []).append(ranked[place])
        turned = _is_turned(best, members, hashes)
        if turned:
            best, members = members["mirrored"][0], {"mirrored": [best]}
        groups += _clones(copies[best.sha256])
        for kind in _KINDS:
            if kind in members:
                others = [copy for one in members[kind] for copy in copies[one.sha256]]
                groups.append(_group(kind, best, others, _TURNED if turned else ""))
        for lesser in (signature for kind in _KINDS for signature in members.get(kind, ())):
            groups += _clones(copies[lesser.sha256])
    return tuple(groups)


def _clones(copies: Sequence[Signature]) -> list[Group]:
    """The group of identical files, if there are several."""
    return [_group("same", copies[0], copies[1:])] if len(copies) > 1 else []


def _framed(one: Signature, other: Signature) -> str:
    """The sha256 of the worse of two pictures that differ by their borders."""
    times = one.inner_pixels / other.inner_pixels
    if max(times, 1 / times) > _MUCH_LARGER:
        return (other if times > 1 else one).sha256
    return (one if one.border > other.border else other).sha256


def _group(kind: Likeness, best: Signature, others: Sequence[Signature], reason: str = "") -> Group:
    reason = reason or _reason(kind, best, min(others, key=_rank))
    return Group(kind, (best.name, *(other.name for other in others)), reason)


def _is_turned(best: Signature, members: Mapping[Likeness, Sequence[Signature]], hashes: Sequence[int]) -> bool:
    """Whether the group is a picture and its mirror image, as good, and the other images are rather turned as the
    latter is: their `hashes` are nearer to it. (Half of a hash's bits change when a picture is mirrored.)"""
    lesser = [signature for signatures in members.values() for signature in signatures]
    if len(lesser) != 1 or "mirrored" not in members or _rank(best)[:_LOOKS] != _rank(lesser[0])[:_LOOKS]:
        return False
    one, other = best.fingerprint.phash, lesser[0].fingerprint.phash
    nearer = sum((one ^ each).bit_count() - (other ^ each).bit_count() for each in hashes)
    return len(hashes) >= _ENOUGH and nearer >= _CLEARLY * len(hashes)


def _rank(signature: Signature) -> tuple[int, int, bool, int, bool, int, str]:
    return (
        -round(math.log(signature.pixels) / _CLOSE),
        int(signature.fingerprint.blur / _BLUR_STEP),
        not signature.lossless,
        -round(math.log(max(1, signature.size)) / _CLOSE),
        not signature.captioned,
        len(signature.name),
        signature.name,
    )


def _reason(kind: Likeness, best: Signature, second: Signature) -> str:
    """Why `best` is better than `second`, in words."""
    if best.sha256 == second.sha256:
        return "it has a caption" if best.captioned and not second.captioned else "the files are identical"
    times = best.pixels / second.pixels
    if kind == "padded":
        times = best.inner_pixels / second.inner_pixels
        if times < _MUCH_LARGER:
            return "narrower borders"
    words = (
        f"{times:.0f} times the pixels" if times > 1.9 else f"{times:.1f} times the pixels",
        "sharper",
        "saved without loss",
        "the larger file",
        "it has a caption",
        "equally good, the shorter name",
        "equally good, the first by name",
    )
    if kind == "padded":
        return words[0]
    return next(
        (word for word, one, two in zip(words, _rank(best), _rank(second), strict=True) if one != two), words[-1]
    )


def _likeness(best: Signature, other: Signature) -> Likeness | None:
    """How the two look alike; None when they do not. Thumbnails are only compared here, which is what costs."""
    one, two = best.fingerprint, other.fingerprint
    if (_near(one.phash, two.phash) or _near_when_brighter(one, two)) and _is_copy(best, other, mirrored=False):
        return "near"
    if _near(one.phash, two.mirrored) and _is_copy(best, other, mirrored=True):
        return "mirrored"
    within = any(
        looks_same_inside(one(), two()) and (whole or keeps_colours(one(), two()))
        for one, two, whole in _near_views(best, other)
    )
    return "padded" if within else None


def _near_when_brighter(one: Fingerprint, two: Fingerprint) -> bool:
    """Whether the one is near the other once it is half as bright again."""
    return _near(one.bright, two.phash, INNER_DISTANCE) or _near(one.phash, two.bright, INNER_DISTANCE)


def _is_copy(best: Signature, other: Signature, *, mirrored: bool) -> bool:
    """Whether the other, or its mirror image, is the whole picture: as it is, in another tone, or with a mark on it."""

    def turned(thumbnail: Thumbnail) -> Thumbnail:
        return mirror_thumbnail(thumbnail) if mirrored else thumbnail

    one, two = best.thumbnail(), turned(other.thumbnail())
    return (
        looks_same(one, two)
        or looks_toned(one, two, best.fine_thumbnail, lambda: turned(other.fine_thumbnail()))
        or looks_marked(one, two)
    )


def _near_views(
    best: Signature, other: Signature
) -> list[tuple[Callable[[], Thumbnail], Callable[[], Thumbnail], bool]]:
    """The thumbnails that may be of one picture once borders are taken off the one, the other or both, and whether one
    of them is a whole. Where none is, both borders may be the ground of two drawings of one figure, of which only the
    same colours make copies.

    Where both have the same part of their frame within borders, these belong to what they show (a wall, a dress), and
    the whole has to agree.
    """
    (_, *pairs) = product(best.views, other.views)  # the first is that of the two with all of their borders
    return [
        (one, two, WHOLE in (here, there))
        for (this, one, here), (that, two, there) in pairs
        if _near(this, that, INNER_DISTANCE) and (WHOLE in (here, there) or not _is_one_part(here, there))
    ]


def _is_one_part(one: Box, other: Box) -> bool:
    return all(abs(here - there) < _SAME_PART for here, there in zip(one, other, strict=True))


def _near(one: int, other: int, distance: int = HASH_DISTANCE) -> bool:
    return (one ^ other).bit_count() <= distance


def _candidates(ranked: Sequence[Signature]) -> list[tuple[int, int]]:
    """The pairs of places, in order, at which a hash is near: of any view to any view, or of a mirror image."""
    prints = [signature.fingerprint for signature in ranked]
    hashes = np.array([made.phash for made in prints], np.uint64)
    mirrored = np.array([made.mirrored for made in prints], np.uint64)
    views = [(place, view) for place, signature in enumerate(ranked) for view, _, _ in signature.views]
    owners, shown = np.array([place for place, _ in views], np.int64), np.array([view for _, view in views], np.uint64)
    alike = owners[near_pairs(shown, shown, INNER_DISTANCE)]
    bright = np.array([made.bright for made in prints], np.uint64)
    wholes = [near_pairs(hashes, counterparts, HASH_DISTANCE) for counterparts in (hashes, mirrored)]
    wholes += [near_pairs(*pair, INNER_DISTANCE) for pair in ((hashes, bright), (bright, hashes))]
    found = np.concatenate((alike[alike[:, 0] < alike[:, 1]], *wholes))
    pairs = np.unique(found, axis=0)
    return [(one, other) for one, other in pairs[_plausible(ranked, mirrored, bright, pairs)].tolist()]


def _plausible(ranked: Sequence[Signature], mirrored: Hashes, bright: Hashes, pairs: Places) -> npt.NDArray[np.bool_]:
    """Which pairs a second comparison may find to be one picture. Drawings on one background are nearly all near each
    other by their hashes; most of these pairs differ at first sight, and are told apart many at once."""
    seen = np.unique(pairs)
    height = max((len(ranked[place].views) for place in seen.tolist()), default=1)
    hashes = np.zeros((height, len(ranked)), np.uint64)
    coarse = np.full((height, len(ranked), 8, 8), np.nan, np.float32)  # what is not there is near nothing
    colours = np.zeros((len(ranked), 8, 8, 3), np.float32)
    for place in seen.tolist():
        for number, (view, take_thumbnail, _) in enumerate(ranked[place].views):
            thumbnail = take_thumbnail()
            hashes[number, place], coarse[number, place] = view, coarse_light(thumbnail)
            if number == 0:
                colours[place] = coarse_colours(thumbnail)
    plausible = np.zeros(len(pairs), bool)
    for start in range(0, len(pairs), _AT_ONCE):
        one, other = pairs[start : start + _AT_ONCE].T
        found = np.zeros(len(one), bool)
        whole = hashes[0]
        for ones, others, distance, turn in (
            (whole, whole, HASH_DISTANCE, 1),
            (whole, mirrored, HASH_DISTANCE, -1),
            (whole, bright, INNER_DISTANCE, 1),
            (bright, whole, INNER_DISTANCE, 1),
        ):
            near = np.flatnonzero(~found & (np.bitwise_count(ones[one] ^ others[other]) <= distance))
            found[near] |= _plausible_wholes(coarse[0], colours, one[near], other[near], turn)
        for this, that in product(range(height), range(height)):
            if this or that:
                near = np.bitwise_count(hashes[this, one] ^ hashes[that, other]) <= INNER_DISTANCE
                differing = differ_coarsely(coarse[this, one], coarse[that, other])
                found |= near & (differing < COARSE_MOST_INSIDE + _SLACK)
        plausible[start : start + _AT_ONCE] = found
    return plausible


def _plausible_wholes(
    coarse: npt.NDArray[np.float32], colours: npt.NDArray[np.float32], one: Places, other: Places, turn: int
) -> npt.NDArray[np.bool_]:
    """Of pairs of whole pictures, the other mirrored where `turn` is -1: as they are, or in another tone."""
    differing = differ_coarsely(coarse[one], coarse[other][:, :, ::turn])
    plausible: npt.NDArray[np.bool_] = differing < COARSE_MOST + _SLACK
    others_turned = coarse[other][:, :, ::turn].reshape(-1, 64)
    light = differ_in_light(coarse[one].reshape(-1, 64), others_turned)
    toned = np.flatnonzero(~plausible & (light < TONED_MOST))
    ones, others = colours[one[toned]], colours[other[toned]][:, :, ::turn]
    flat = (len(toned), 64, 3)
    plausible[toned] = differ_in_tone(ones.reshape(flat), others.reshape(flat)) < TONED_MOST
    return plausible
