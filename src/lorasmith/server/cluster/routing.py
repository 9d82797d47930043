"""Which replica gets a picture: one that can begin it, holds its base and its adapters, and has not much more to do
than the others."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """How a replica stands: `load` pictures are with it, `room` more would be taken.

    `company` is what those with it can be drawn together with, None when there are none; `base` is the one in its
    memory, `adapters` are those whose factors are, or will be when what it was given is drawn.
    """

    name: str
    load: int
    room: int
    base: str | None = None
    company: Hashable = None
    adapters: Collection[str] = ()


def choose_replica(
    standings: Sequence[Standing], base: str, adapters: Collection[str], company: Hashable, slack: int
) -> str | None:
    """The replica for a picture; None when all that could begin it are full.

    Of those whose load is within `slack` of the least: first who has the base, then who holds most of the adapters,
    less loaded first; adapters that nobody holds have a home by hash (rendezvous hashing, Thaler and Ravishankar 1998),
    the same after a restart, and with one replica more or less only its share moves.
    """
    able = [each for each in standings if each.room > 0 and (each.company is None or each.company == company)]
    if not able:
        return None
    least = min(each.load for each in able)
    near = [each for each in able if each.load <= least + slack]
    key = "\0".join(sorted(adapters))

    def rank(each: Standing) -> tuple[bool, int, int, bytes]:
        held = sum(name in each.adapters for name in adapters)
        by_load = -each.load if held or not adapters else 0
        return each.base == base, held, by_load, _weight(each.name, key)

    return max(near, key=rank).name


def _weight(replica: str, key: str) -> bytes:
    return hashlib.blake2b(f"{replica}\0{key}".encode(), digest_size=8).digest()
