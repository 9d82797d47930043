"""Workers as actors of a Ray cluster, each with a core; the `[cluster]` extra. Nothing else imports ray.

An actor that dies, with its process or its machine, is replaced while the cluster has room. Actors keep what their job
has opened (a tagger, a base), as processes of the local pool do.
"""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from lorasmith import __version__
from lorasmith.errors import ClusterError, first_line
from lorasmith.pools.hand import Hand
from lorasmith.pools.local import usable_cores
from lorasmith.pools.pool import Said
from lorasmith.storage import remote

LOCAL = "local"
_PORT = 6379
_STORE = 256 << 20
"""Bytes for objects of a cluster of our own: chunks and answers are small."""
_ANSWERS_WITHIN, _COUNTED_EVERY, _BORN_DEAD = 5.0, 2.0, 3
_HERE = ("localhost", "127.0.0.1", "::1")
_joined: dict[str, str] = {}
"""The address of the cluster that this process is in: joining takes seconds, so it stays until another is wanted."""


def open_cluster(address: str) -> RayBody:
    """Workers on the cluster at HOST:PORT, or on one started here for "local", which ends with this process. Raises
    ClusterError when ray is not installed, nobody answers, or the versions differ."""
    join_cluster(address)
    return RayBody(address)


def join_cluster(address: str) -> None:
    """Let this process be in that cluster, in which it stays. Raises ClusterError."""
    if find_spec("ray") is None:
        raise ClusterError("a cluster needs ray.", hint='pip install "lorasmith[cluster]"')
    import ray

    host = "" if address == LOCAL else _reach(address)
    if _joined.get("address") != address or not ray.is_initialized():
        ray.shutdown()
        _join(address, alone=not host, here=not host or host in _HERE)
        _joined["address"] = address


def _join(address: str, *, alone: bool, here: bool) -> None:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    given: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if here:  # the workers see this machine's files, so that they import what this process does
        given["runtime_env"] = {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}}
    if alone:
        given |= {"num_cpus": usable_cores(), "object_store_memory": _STORE, "include_dashboard": False}
    else:
        address = address if ":" in address else f"{address}:{_PORT}"
    try:
        ray.init(address, **given)
    except (ConnectionError, RuntimeError, ValueError, OSError) as fault:
        raise ClusterError(_explain(fault), where=address) from None


def _explain(fault: Exception) -> str:
    """One sentence for what keeps this process from joining."""
    if "ersion mismatch" in str(fault):
        words = " ".join(str(fault).split())
        return f"the versions of ray or Python there and here differ: {words}"
    return f"cannot be joined: {first_line(fault)}"


def _reach(address: str) -> str:
    """The address's host, once something listens there. Raises ClusterError."""
    host, _, port = address.rpartition(":") if ":" in address else (address, "", str(_PORT))
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ClusterError(
            f'"{address}" is no cluster.', hint='HOST:PORT of the machine where Ray was started first, or "local".'
        )
    try:
        socket.create_connection((host, int(port)), _ANSWERS_WITHIN).close()
    except OSError as fault:
        reason = fault.strerror or "no answer"
        raise ClusterError(f"no cluster answers ({reason}).", where=address, hint="Was Ray started there?") from None
    return host


class RemoteHand(Hand):
    """A hand in an actor. Paths that are relative mean `folder`, where the process that asks is, if it is there;
    `mirrors` are those of that process."""

    def __init__(self, folder: str, mirrors: Mapping[str, str]) -> None:
        super().__init__()
        remote.mirrors.update(mirrors)
        with contextlib.suppress(OSError):
            os.chdir(folder)

    def who(self) -> tuple[str, str]:
        """The versions of lorasmith and of Python there."""
        return __version__, platform.python_version()


class RayBody:
    """As many actors as the cluster has cores."""

    elsewhere = True

    def __init__(self, address: str) -> None:
        import ray

        self._ray, self._address = ray, address
        self._make = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(RemoteHand)
        self._idle: list[Any] = []
        self._asked: dict[Any, tuple[int, Any]] = {}
        self._waking: dict[Any, Any] = {}
        self._born_dead = 0
        self._counted, self._cores = 0.0, 1
        self._count()

    @property
    def workers(self) -> int:
        return self._cores

    def free(self, job: bytes, wanted: int, ahead: int = 1) -> int:
        del job, ahead  # an actor opens it with its first chunk, and holds one
        self._count()
        there = len(self._idle) + len(self._asked) + len(self._waking)
        for _ in range(min(self._cores, wanted) - there):
            actor = self._make.remote(os.getcwd(), remote.mirrors)
            self._waking[actor.who.remote()] = actor
        return len(self._idle)

    def ask(self, token: int, job: bytes, items: Sequence[Any]) -> None:
        actor = self._idle.pop()
        with self._said_plainly():
            self._asked[actor.do.remote(job, list(items))] = token, actor

    def hear(self, seconds: float) -> list[tuple[int, list[Said] | None]] | None:
        waiting = [*self._asked, *self._waking]
        if not waiting:
            time.sleep(seconds)
            return None
        done, _ = self._ray.wait(waiting, num_returns=1, timeout=seconds)
        answers: list[tuple[int, list[Said] | None]] = []
        for ref in done:
            if ref in self._waking:
                self._greet(ref, self._waking.pop(ref))
            else:
                answers.append(self._take(ref, *self._asked.pop(ref)))
        return answers if done else None

    def drop(self, tokens: Collection[int]) -> None:
        for ref in [ref for ref, (token, _) in self._asked.items() if token in tokens]:
            self._end(self._asked.pop(ref)[1])

    def close(self) -> None:
        actors = [*self._idle, *self._waking.values(), *(actor for _, actor in self._asked.values())]
        for actor in actors:
            self._end(actor)
        self._idle, self._waking, self._asked = [], {}, {}

    def _greet(self, ref: Any, actor: Any) -> None:
        """An actor that is ready; it must be what this process is."""
        try:
            there = self._ray.get(ref)
        except self._ray.exceptions.RayError as fault:
            self._end(actor)
            self._born_dead += 1
            if self._born_dead >= _BORN_DEAD:
                raise ClusterError(
                    f"its workers end before they are ready: {last_line(fault)}",
                    where=self._address,
                    hint="Is lorasmith installed on every machine of it?",
                ) from None
            return
        check_versions(there, self._address)
        self._born_dead = 0
        self._idle.append(actor)

    def _take(self, ref: Any, token: int, actor: Any) -> tuple[int, list[Said] | None]:
        said: list[Said] | None = None
        with self._said_plainly():
            try:
                said = self._ray.get(ref)
            except (self._ray.exceptions.ObjectStoreFullError, self._ray.exceptions.OutOfDiskError):
                raise
            except self._ray.exceptions.RayError as fault:
                cause = getattr(fault, "cause", None)
                if isinstance(cause, self._ray.exceptions.ObjectStoreFullError):
                    raise cause from None
                self._end(actor)
                return token, None
        self._idle.append(actor)
        return token, said

    @contextlib.contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        except (self._ray.exceptions.ObjectStoreFullError, self._ray.exceptions.OutOfDiskError):
            raise ClusterError(
                "its store of objects is full.",
                where=self._address,
                hint="Start Ray on its machines with a larger one (object-store-memory).",
            ) from None

    def _end(self, actor: Any) -> None:
        with contextlib.suppress(Exception):  # it may be gone, and the cluster too
            self._ray.kill(actor)

    def _count(self) -> None:
        """How many cores the cluster has now."""
        if time.monotonic() - self._counted >= _COUNTED_EVERY:
            self._cores = max(1, int(self._ray.cluster_resources().get("CPU", 0)))
            self._counted = time.monotonic()


def check_versions(there: tuple[str, str], address: str | None) -> None:
    """Those of lorasmith and Python where something greets from must be those here. Raises ClusterError."""
    here = __version__, platform.python_version()
    if there != here:
        raise ClusterError(
            f"versions differ: lorasmith {there[0]} on Python {there[1]} there, {here[0]} on {here[1]} here.",
            where=address,
            hint="Install the same on every machine.",
        )


def last_line(fault: Exception) -> str:
    """What Ray says of a fault, without the trace above and the advice behind."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return lines[-1] if lines else type(fault).__name__
