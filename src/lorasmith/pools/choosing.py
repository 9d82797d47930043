"""Which workers a piece of work gets."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar

from lorasmith.pools.local import LocalBody, usable_cores
from lorasmith.pools.pool import Body, Pool

CLUSTER = "LORASMITH_CLUSTER"
MANY = 256
"""A process is there after 0.35 s (0.15 to 0.3 s of a core), and a small image is measured in 10 ms: with fewer items
than this nobody is called (`docs/scale.md`)."""


class _Workers:
    """Those of one `dealt_out`: started when they are first wanted."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self._body: Body | None = None

    def open(self) -> Body:
        self._body = self._body or _open_body(self.cluster, usable_cores())
        return self._body

    def close(self) -> None:
        if self._body is not None:
            self._body.close()


_workers: ContextVar[_Workers | None] = ContextVar("workers", default=None)


@contextlib.contextmanager
def dealt_out(cluster: str | None = None) -> Iterator[None]:
    """Within it, pools that are opened share their workers, which end with it: on a cluster, its address or "local" for
    one on this machine. None leaves that as it is; the environment's LORASMITH_CLUSTER counts where nothing is said."""
    outer = _workers.get()
    if outer is not None and cluster in (None, outer.cluster):
        yield
        return
    mine = _Workers((os.environ.get(CLUSTER, "") if cluster is None else cluster).strip())
    token = _workers.set(mine)
    try:
        yield
    finally:
        _workers.reset(token)
        mine.close()


def chosen_cluster() -> str:
    """The cluster's address, "local", or "" for the processes of this machine."""
    workers = _workers.get()
    return os.environ.get(CLUSTER, "").strip() if workers is None else workers.cluster


def open_pool(items: int, many: int = MANY) -> Pool:
    """Workers for so many items: none but this process where they are fewer than `many` or only one core is there;
    a cluster's where one is chosen. Raises ClusterError when it cannot be reached."""
    cluster = chosen_cluster()
    if not items or not (cluster or (items >= many and usable_cores() > 1)):
        return Pool()
    workers = _workers.get()
    return Pool(_open_body(cluster, min(usable_cores(), items))) if workers is None else Pool(workers.open(), lent=True)


def _open_body(cluster: str, cores: int) -> Body:
    if not cluster:
        return LocalBody(cores)
    from lorasmith.pools.ray_pool import open_cluster

    return open_cluster(cluster)
