"""Texts between other parts of a prompt, put together."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TypeVar, cast

Part = TypeVar("Part")


def join_texts(parts: Iterable[Part]) -> list[Part]:
    """The parts, some of them texts, in their order with neighbouring texts as one; each letter is moved once."""
    joined: list[Part] = []
    for are_texts, run in groupby(parts, key=lambda part: isinstance(part, str)):
        if are_texts:
            joined.append(cast(Part, "".join(cast(Iterable[str], run))))
        else:
            joined += run
    return joined
