"""Near pairs of hashes: exact beside the obvious comparison, on random and on crowded hashes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lorasmith.dataset import grouping
from lorasmith.dataset.grouping import near_pairs

Hashes = npt.NDArray[np.uint64]


def obvious(hashes: Hashes, others: Hashes, distance: int) -> set[tuple[int, int]]:
    near = np.argwhere(np.bitwise_count(hashes[:, None] ^ others[None, :]) <= distance)
    return {(int(i), int(j)) for i, j in near if i < j}


def flipped(random: np.random.Generator, hashes: Hashes, most: int) -> Hashes:
    """Each hash with up to `most` of its bits turned."""
    bits = random.permuted(np.tile(np.arange(64), (len(hashes), 1)), axis=1)
    counts = random.integers(0, most + 1, len(hashes))
    turned = np.where(np.arange(64)[None, :] < counts[:, None], np.uint64(1) << bits.astype(np.uint64), np.uint64(0))
    result: Hashes = hashes ^ np.bitwise_xor.reduce(turned, axis=1)
    return result


def planted(seed: int) -> Hashes:
    """2,000 random hashes and, in random places, 600 that are up to 10 bits from one of them."""
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, 2000, dtype=np.uint64)
    copies = flipped(random, hashes[random.integers(0, 2000, 600)], 10)
    return random.permutation(np.concatenate((hashes, copies)))


def crowded(seed: int) -> Hashes:
    """Hashes as of drawings on one background: two thirds of the bits nearly always agree, and some are equal."""
    random = np.random.default_rng(seed)
    bits = random.random((2500, 64)) < np.where(np.arange(64) % 3 == 0, 0.5, 0.03)
    hashes = np.packbits(bits, axis=1).view(np.uint64).reshape(-1)
    hashes[::50] = hashes[0]
    return hashes


@pytest.mark.parametrize("distance", [0, 1, 2, 5, 8, 11])
@pytest.mark.parametrize("seed", [0, 1])
def test_random_hashes_with_planted_neighbours(monkeypatch: pytest.MonkeyPatch, seed: int, distance: int) -> None:
    monkeypatch.setattr(grouping, "_FEW", 10)
    hashes = planted(seed)
    pairs = near_pairs(hashes, hashes, distance)
    expected = obvious(hashes, hashes, distance)
    assert len(expected) > 20
    assert [tuple(pair) for pair in pairs.tolist()] == sorted(expected), "each pair once, in order"


def test_crowded_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "_FEW", 10)
    monkeypatch.setattr(grouping, "_CHUNK", 1 << 14)
    hashes = crowded(3)
    expected = obvious(hashes, hashes, 8)
    assert len(expected) > 10_000
    assert [tuple(pair) for pair in near_pairs(hashes, hashes, 8).tolist()] == sorted(expected)


@pytest.mark.parametrize("few", [10, 10_000])
def test_counterparts(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(grouping, "_FEW", few)
    hashes = planted(4)
    others = flipped(np.random.default_rng(5), hashes, 6)[::-1].copy()
    expected = obvious(hashes, others, 8)
    assert len(expected) > 500
    assert [tuple(pair) for pair in near_pairs(hashes, others, 8).tolist()] == sorted(expected)


def test_nothing_in_nothing_out() -> None:
    for count in (0, 1):
        assert near_pairs(np.zeros(count, np.uint64), np.zeros(count, np.uint64), 8).shape == (0, 2)


def test_wrong_questions() -> None:
    zeros = np.zeros(3, np.uint64)
    with pytest.raises(ValueError, match="3 hashes, 2 counterparts"):
        near_pairs(zeros, zeros[:2], 8)
    with pytest.raises(ValueError, match="no such distance: 64"):
        near_pairs(zeros, zeros, 64)
