"""What is kept up to a number of bytes, and what goes first."""

from __future__ import annotations

import random

from lorasmith.storage.lru import ByteLru


def test_the_least_recently_used_go_first_and_are_told() -> None:
    gone: list[tuple[str, int]] = []
    kept: ByteLru[str, int] = ByteLru(10, lambda key, value: gone.append((key, value)))
    for number, key in enumerate("abc"):
        kept.put(key, number, 3)
    assert kept.get("a") == 0
    kept.put("d", 3, 3)
    assert gone == [("b", 1)]
    assert list(kept) == ["c", "a", "d"]
    assert kept.get("b") is None


def test_a_single_one_may_be_larger_than_all() -> None:
    kept: ByteLru[str, int] = ByteLru(10)
    kept.put("a", 1, 5)
    kept.put("b", 2, 50)
    assert list(kept) == ["b"]
    assert kept.bytes == 50
    kept.put("c", 3, 1)
    assert list(kept) == ["c"]


def test_another_value_of_a_key_takes_its_bytes() -> None:
    kept: ByteLru[str, int] = ByteLru(10)
    kept.put("a", 1, 9)
    kept.put("a", 2, 4)
    assert (kept.get("a"), kept.bytes, len(kept)) == (2, 4, 1)


def test_bytes_are_those_of_what_is_there() -> None:
    chance = random.Random(3)
    sizes: dict[int, int] = {}

    def drop(key: int, _: None) -> None:
        del sizes[key]

    kept: ByteLru[int, None] = ByteLru(200, drop)
    for _ in range(2000):
        key, size = chance.randrange(40), chance.randrange(1, 60)
        kept.put(key, None, size)
        sizes[key] = size
        assert kept.bytes == sum(sizes.values()) <= 200
        assert set(kept) == set(sizes)
