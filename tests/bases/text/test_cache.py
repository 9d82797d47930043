"""What is kept of encoded texts."""

from __future__ import annotations

import torch

from lorasmith.bases.text.cache import ContextCache
from lorasmith.bases.text.context import Context


def numbered(keys: list[int]) -> Context:
    return Context({"hidden": torch.tensor(keys, dtype=torch.float32).view(-1, 1, 1).expand(-1, 2, 4)})


class Encoder:
    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, keys: list[int]) -> Context:
        self.asked.append(keys)
        return numbered(keys)


def test_rows_come_in_the_order_of_the_keys_and_each_is_encoded_once() -> None:
    cache: ContextCache[int] = ContextCache()
    encode = Encoder()
    assert cache.recall([3, 1, 3], encode).hidden[:, 0, 0].tolist() == [3, 1, 3]
    assert cache.recall([1, 2, 3], encode).hidden[:, 0, 0].tolist() == [1, 2, 3]
    assert encode.asked == [[3, 1], [2]]


def test_from_the_second_time_on() -> None:
    cache: ContextCache[int] = ContextCache(from_second=True)
    encode = Encoder()
    for keys in ([1, 2], [1], [1], [2, 1], [2]):
        cache.recall(keys, encode)
    assert encode.asked == [[1, 2], [1], [2]]


def test_bounded_by_count_and_by_bytes_and_the_last_used_stay() -> None:
    by_count: ContextCache[int] = ContextCache(texts=2)
    by_bytes: ContextCache[int] = ContextCache(nbytes=2 * 32)
    for cache in (by_count, by_bytes):
        encode = Encoder()
        for key in (1, 2, 1, 3, 1, 2):
            cache.recall([key], encode)
        assert encode.asked == [[1], [2], [3], [2]]
        assert len(cache) == 2
        assert cache.nbytes == 2 * 32


def test_a_row_over_the_bound_is_given_and_not_kept() -> None:
    cache: ContextCache[int] = ContextCache(nbytes=8)
    assert cache.recall([7], Encoder()).hidden[0, 0, 0] == 7
    assert (len(cache), cache.nbytes) == (0, 0)


def test_what_was_asked_for_once_is_forgotten_in_time() -> None:
    cache: ContextCache[int] = ContextCache(texts=3, from_second=True)
    encode = Encoder()
    for key in range(10):
        cache.recall([key], encode)
    assert len(cache._asked) <= 3
