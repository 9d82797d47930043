"""Replicas as actors of a Ray cluster; the `[cluster]` extra. They end with the process that started them.

Plain actors and no Ray Serve: why, in docs/scale.md.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lorasmith.errors import ClusterError
from lorasmith.pools.ray_pool import check_versions, join_cluster, last_line
from lorasmith.project import EMBEDDED
from lorasmith.server.cluster.fleet import Greeted, News
from lorasmith.server.cluster.messages import Lost, Order
from lorasmith.server.cluster.replica import Replica
from lorasmith.server.interfaces import Loader
from lorasmith.server.settings import ServerSettings

CALLS = 4
"""Calls that a replica answers at once: one waits for news, others bring orders."""
WAITS = 0.5
"""Seconds that a replica waits for news before it says that there are none."""
SILENT = 120.0
"""Seconds after which a replica that says nothing at all counts as ended."""
STARTS_WITHIN = 600.0
MOST_WORDS = 200
"""Characters of what Ray says."""


def open_fleet(settings: ServerSettings, preload: str | None = None, loader: Loader | None = None) -> RayFleet:
    """The replicas of the settings' cluster, started and greeted. Raises ClusterError: ray is not installed, nobody
    answers, it has too few cores, versions differ, replicas end at once."""
    assert settings.cluster is not None
    join_cluster(settings.cluster)
    fleet = RayFleet(settings, preload, loader)
    try:
        fleet.open()
    except BaseException:
        fleet.close()
        raise
    return fleet


class RayFleet:
    """Actors, each with its share of the cluster's cores, and a GPU where there are some."""

    def __init__(self, settings: ServerSettings, preload: str | None, loader: Loader | None) -> None:
        import ray

        self._ray = ray
        self._address = settings.cluster
        self._given = (portable_settings(settings), preload, loader)
        self._actors: dict[str, Any] = {}
        self._heard: dict[Any, tuple[str, bool, float]] = {}
        """What is asked, by its reference: of whom, whether it is the greeting, and when."""
        have = ray.cluster_resources()
        cores, gpus = int(have.get("CPU", 0)), int(have.get("GPU", 0))
        machines = sum(node["Alive"] for node in ray.nodes())
        self.replicas = settings.replicas or gpus or machines
        if cores < self.replicas:
            raise ClusterError(
                f"{self.replicas} replicas want a core each, and it has {cores}.",
                where=self._address,
                hint="Ask for fewer, or add machines.",
            )
        share: dict[str, Any] = {"num_cpus": max(1, cores // max(self.replicas, machines))}
        if gpus:
            share["num_gpus"] = min(1.0, gpus / self.replicas)
        self._make = ray.remote(
            max_restarts=0, max_task_retries=0, max_concurrency=CALLS, scheduling_strategy="SPREAD", **share
        )(Replica)

    def open(self) -> None:
        """Start the first replicas, and wait until each has greeted. Raises ClusterError."""
        for number in range(self.replicas):
            self.start(f"replica-{number}")
        waiting = list(self._heard)
        _, late = self._ray.wait(waiting, num_returns=len(waiting), timeout=STARTS_WITHIN)
        if late:
            raise ClusterError(
                f"{len(late)} of {len(waiting)} replicas were not started within {STARTS_WITHIN:.0f} s.",
                where=self._address,
                hint="Is there room for them, or does other work have its cores?",
            )
        for ref in waiting:
            self._greet(ref)

    def start(self, name: str) -> None:
        if name in self._actors:
            return
        actor = self._make.remote(*self._given)
        self._actors[name] = actor
        self._heard[actor.who.remote()] = name, True, time.monotonic()

    def ask(self, name: str, orders: Sequence[Order]) -> None:
        self._tell(name, "take", list(orders))

    def cancel(self, name: str, tokens: Sequence[int]) -> None:
        self._tell(name, "cancel", list(tokens))

    def unload(self) -> None:
        for name in list(self._actors):
            self._tell(name, "unload")

    def hear(self, seconds: float, previews: bool) -> list[tuple[str, News]]:
        waiting = list(self._heard)
        if not waiting:
            time.sleep(seconds)
            return []
        done, _ = self._ray.wait(waiting, num_returns=1, timeout=seconds)
        if done:
            done, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
        found = [self._take(ref, previews) for ref in done]
        now = time.monotonic()
        for ref, (name, greeting, since) in list(self._heard.items()):
            if now - since > (STARTS_WITHIN if greeting else SILENT):
                found.append(self._bury(ref, name, f"it said nothing for {now - since:.0f} s", not greeting))
        return [news for news in found if news is not None]

    def end(self, name: str) -> None:
        actor = self._actors.pop(name, None)
        self._heard = {ref: asked for ref, asked in self._heard.items() if asked[0] != name}
        if actor is not None:
            with contextlib.suppress(Exception):  # it may be gone, and the cluster too
                self._ray.kill(actor)

    def close(self) -> None:
        for name in list(self._actors):
            self.end(name)

    def _tell(self, name: str, method: str, *given: object) -> None:
        actor = self._actors.get(name)
        if actor is not None:
            with contextlib.suppress(self._ray.exceptions.RayError):  # it is heard of soon enough
                getattr(actor, method).remote(*given)

    def _take(self, ref: Any, previews: bool) -> tuple[str, News] | None:
        asked = self._heard.get(ref)
        if asked is None:
            return None
        name, greeting, _ = asked
        try:
            news: News = self._greet(ref) if greeting else self._ray.get(ref)
        except ClusterError as error:
            return self._bury(ref, name, error.message, greeted=False)
        except self._ray.exceptions.RayError as fault:
            return self._bury(ref, name, last_line(fault)[:MOST_WORDS], not greeting)
        del self._heard[ref]
        self._heard[self._actors[name].hear.remote(WAITS, previews)] = name, False, time.monotonic()
        return name, news

    def _greet(self, ref: Any) -> Greeted:
        """A replica that can draw. Raises ClusterError when it is not what this process is."""
        try:
            lorasmith, python, process = self._ray.get(ref)
        except self._ray.exceptions.RayError as fault:
            raise ClusterError(
                f"its replicas end before they are ready: {last_line(fault)[:MOST_WORDS]}",
                where=self._address,
                hint="Is lorasmith installed on every machine of it?",
            ) from None
        check_versions((lorasmith, python), self._address)
        return Greeted(process)

    def _bury(self, ref: Any, name: str, reason: str, greeted: bool) -> tuple[str, News]:
        self._heard.pop(ref, None)
        self.end(name)
        return name, Lost(reason, greeted)


def portable_settings(settings: ServerSettings) -> ServerSettings:
    """What a replica is told: no token, and files by their whole paths, which must be the same on every machine."""

    def whole(source: str) -> str:
        return os.path.abspath(source) if source != EMBEDDED and Path(source).exists() else source

    return replace(
        settings,
        adapters=tuple(Path(os.path.abspath(folder)) for folder in settings.adapters),
        bases=tuple(map(whole, settings.bases)),
        cache=None if settings.cache is None else Path(os.path.abspath(settings.cache)),
        host="127.0.0.1",
        token=None,
        origins=(),
        cluster=None,
        replicas=None,
    )
