"""All pairs of 64-bit hashes that are near each other, exactly, without comparing every one with every other.

Multi-index hashing (Norouzi, Punjani, Fleet 2012, "Fast search in Hamming space with multi-index hashing"): two hashes
at most 8 bits apart are, in one of three blocks of 21 or 22 bits, at most 2 bits apart; at most 11 bits apart, in one
of four blocks of 16. For each block the hashes are
sorted by it, every mask of up to two bits is laid over all of them at once, and what then falls on the same value is
compared in full. The cost is (masks x hashes) look-ups and (masks / 2^21 x hashes^2) comparisons.

Shapes: hashes_N uint64; pairs_K2 int64, first < second.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]
_Counts = npt.NDArray[np.int32]

_BITS, _RADIUS = 64, 2
"""Bits of a hash; how many may differ in the nearest block."""
_FEW = 3000
"""Up to here every hash is compared with every other: it takes no longer."""
_CHUNK = 1 << 20
_LEAST_BLOCKS, _MOST_BLOCKS = 3, 4
"""Fewer blocks are so wide that counting their values takes longer; more are so narrow that most of what falls together
in one is not near."""


def near_pairs(hashes: Hashes, others: Hashes, distance: int) -> Places:
    """All (i, j), sorted, with i < j and popcount(hashes[i] ^ others[j]) <= distance.

    `others` may be `hashes` itself, or their counterparts (those of the mirror images, say) in the same order. Time and
    memory grow with the pairs found; equal hashes are many pairs. Raises ValueError when the lengths differ or the
    distance is not from 0 to 63.
    """
    if len(hashes) != len(others):
        raise ValueError(f"{len(hashes)} hashes, {len(others)} counterparts")
    if not 0 <= distance < _BITS:
        raise ValueError(f"no such distance: {distance}")
    count = max(_LEAST_BLOCKS, distance // (_RADIUS + 1) + 1)
    if len(hashes) <= _FEW or count > _MOST_BLOCKS:
        found = list(_compare_all(hashes, others, distance))
    else:
        found = list(_search_blocks(hashes, others, distance, count))
    pairs = np.concatenate(found) if found else np.empty((0, 2), np.int64)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _compare_all(hashes: Hashes, others: Hashes, distance: int) -> Iterator[Places]:
    height = max(1, _CHUNK // max(1, len(hashes)))
    for start in range(0, len(hashes), height):
        rows = hashes[start : start + height, None]
        near = np.argwhere(np.bitwise_count(rows ^ others[None, start:]) <= distance)
        yield near[near[:, 0] < near[:, 1]] + start


def _search_blocks(hashes: Hashes, others: Hashes, distance: int, count: int) -> Iterator[Places]:
    itself = others is hashes or np.array_equal(hashes, others)
    order = _spread_bits(hashes, count)
    hashes = _reorder_bits(hashes, order)
    others = hashes if itself else _reorder_bits(others, order)
    widths = [len(range(block, _BITS, count)) for block in range(count)]
    blocks = [(sum(widths[:block]), width) for block, width in enumerate(widths)]
    for number, (start, width) in enumerate(blocks):
        for pairs in _search_block(hashes, others, distance, start, width, itself):
            difference = hashes[pairs[:, 0]] ^ others[pairs[:, 1]]
            fresh = np.ones(len(pairs), bool)
            for before, size in blocks[:number]:  # what an earlier block has found is not found again
                fresh &= np.bitwise_count(_cut(difference, before, size)) > _RADIUS
            yield pairs[fresh]


def _search_block(
    hashes: Hashes, others: Hashes, distance: int, start: int, width: int, itself: bool
) -> Iterator[Places]:
    """The near pairs whose bits from `start` on, `width` of them, differ in at most `_RADIUS`."""
    keys = _cut(hashes, start, width).astype(np.int64)
    there = keys if itself else _cut(others, start, width).astype(np.int64)
    by_key, by_other = np.argsort(keys, kind="stable"), np.argsort(there, kind="stable")
    keys, hashes = keys[by_key], hashes[by_key]
    others = others[by_other]
    ends = np.zeros((1 << width) + 1, np.int32)
    np.cumsum(np.bincount(there, minlength=1 << width), out=ends[1:])
    for bits in (set_bits for count in range(_RADIUS + 1) for set_bits in combinations(range(width), count)):
        mask = sum(1 << bit for bit in bits)
        halved = itself and mask != 0  # a pair would show itself from both sides: ask where the lowest masked bit is 0
        asking = np.flatnonzero(keys & (mask & -mask) == 0) if halved else None
        wanted = (keys if asking is None else keys[asking]) ^ mask
        first = ends[wanted]
        counts = ends[wanted + 1] - first
        hit = np.flatnonzero(counts)
        mine = hit if asking is None else asking[hit]
        for one, other in _expand(mine, first[hit], counts[hit]):
            near = np.flatnonzero(np.bitwise_count(hashes[one] ^ others[other]) <= distance)
            pairs = np.stack((by_key[one[near]], by_other[other[near]]), axis=1)
            if halved:
                pairs.sort(axis=1)
                yield pairs
            else:
                yield pairs[pairs[:, 0] < pairs[:, 1]]


def _expand(
    mine: Places, first: npt.NDArray[np.int32], counts: npt.NDArray[np.int32]
) -> Iterator[tuple[Places, Places]]:
    """Each of `mine` with every place from `first` on, `counts` of them; about a million at a time, whatever a
    crowded value holds."""
    sums: Places = np.cumsum(counts, dtype=np.int64)
    before: Places = sums - counts.astype(np.int64)
    total = int(sums[-1]) if len(sums) else 0
    for begin in range(0, total, _CHUNK):
        flat = np.arange(begin, min(total, begin + _CHUNK))
        row = np.searchsorted(sums, flat, side="right")
        yield mine[row], flat - before[row] + first[row].astype(np.int64)


def _spread_bits(hashes: Hashes, blocks: int) -> list[int]:
    """The bits of the hashes in an order that deals them out to the blocks by how even they are: drawings on one
    background agree in many bits, and a block of those would tell nothing apart."""
    sample = hashes[:: max(1, len(hashes) // 20_000)]
    shares = [float((sample >> np.uint64(bit) & np.uint64(1)).mean()) for bit in range(_BITS)]
    by_evenness = sorted(range(_BITS), key=lambda bit: abs(shares[bit] - 0.5))
    return [bit for start in range(blocks) for bit in by_evenness[start::blocks]]


def _reorder_bits(hashes: Hashes, order: list[int]) -> Hashes:
    moved = np.zeros_like(hashes)
    for place, bit in enumerate(order):
        moved |= (hashes >> np.uint64(bit) & np.uint64(1)) << np.uint64(place)
    return moved


def _cut(hashes: Hashes, start: int, width: int) -> Hashes:
    return hashes >> np.uint64(start) & np.uint64((1 << width) - 1)
