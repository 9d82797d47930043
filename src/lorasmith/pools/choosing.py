"""Which workers a piece of work gets."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar

from lorasmith.pools.local import LocalBody, usable_cores
from lorasmith.pools.pool import Pool

CLUSTER = "LORASMITH_CLUSTER"
MANY = 256
"""Starting a process costs 0.3 s, as much as a hundred small images: with fewer items than this nobody is called."""
_chosen: ContextVar[str | None] = ContextVar("cluster", default=None)


@contextlib.contextmanager
def dealt_out(cluster: str | None) -> Iterator[None]:
    """Within it, pools that are opened have their workers on a cluster: its address, or "local" for one on this
    machine. None leaves it as it is; the environment's LORASMITH_CLUSTER counts where nothing is said."""
    token = _chosen.set(cluster if cluster is not None else _chosen.get())
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen_cluster() -> str:
    """The cluster's address, "local", or "" for the processes of this machine."""
    said = _chosen.get()
    return (os.environ.get(CLUSTER, "") if said is None else said).strip()


def are_many(items: int, many: int = MANY) -> bool:
    """Whether so many items get workers of their own."""
    return items > 0 and (bool(chosen_cluster()) or (items >= many and usable_cores() > 1))


def open_pool(items: int, many: int = MANY) -> Pool:
    """Workers for so many items: none but this process where they are fewer than `many` or only one core is there;
    a cluster's where one is chosen. Raises ClusterError when it cannot be reached."""
    if not are_many(items, many):
        return Pool()
    if cluster := chosen_cluster():
        from lorasmith.pools.ray_pool import open_cluster

        return Pool(open_cluster(cluster))
    return Pool(LocalBody(min(usable_cores(), items)))
