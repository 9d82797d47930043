"""Workers as processes of this machine, started afresh (nothing is forked), a thread each."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

from lorasmith.pools.hand import READY
from lorasmith.pools.pipes import receive, send
from lorasmith.pools.pool import NoWorkers, Said

HAND = "lorasmith.pools.hand"
_BORN_DEAD = 3
"""So many processes in a row that end before they are ready: none is going to be."""


def usable_cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


class LocalBody:
    """Up to `workers` processes, started when there is work for them; one that ended is replaced. Raises NoWorkers
    when none can be started."""

    elsewhere = False

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._processes: list[_Process] = []
        self._heard: SimpleQueue[tuple[_Process, Any]] = SimpleQueue()
        self._born_dead = 0

    @property
    def pids(self) -> list[int]:
        """Of the processes that are there now."""
        return [process.pid for process in self._processes]

    def free(self) -> int:
        return self.workers - sum(process.token is not None for process in self._processes)

    def ask(self, token: int, job: bytes, items: Sequence[Any]) -> None:
        process = next((one for one in self._processes if one.token is None), None)
        if process is None:
            try:
                process = _Process(self._heard)
            except OSError:
                raise NoWorkers from None
            self._processes.append(process)
        process.ask(token, job, items)

    def hear(self, seconds: float) -> list[tuple[int, list[Said] | None]]:
        answers: list[tuple[int, list[Said] | None]] = []
        ends = time.monotonic() + seconds
        while not answers:
            try:
                process, said = self._heard.get(timeout=max(0.0, ends - time.monotonic()))
            except Empty:
                return answers
            if said == READY:
                process.ready, self._born_dead = True, 0
            elif said is None:
                answers += self._mourn(process)
            else:
                token, answer = said
                process.token = None
                answers.append((token, answer))
        return answers

    def close(self) -> None:
        for process in self._processes:
            process.end()
        self._processes.clear()

    def _mourn(self, process: _Process) -> list[tuple[int, list[Said] | None]]:
        if process not in self._processes:
            return []
        self._processes.remove(process)
        process.end()
        if not process.ready:
            self._born_dead += 1
            if self._born_dead >= _BORN_DEAD:
                raise NoWorkers
        return [] if process.token is None else [(process.token, None)]


class _Process:
    """One process: `token` is of the chunk that it has; a thread reads what it says into `heard`, None at its end."""

    def __init__(self, heard: SimpleQueue[tuple[_Process, Any]]) -> None:
        self.ready = False
        self.token: int | None = None
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-m", HAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **one_thread},
        )
        self._send(list(sys.path))
        threading.Thread(target=self._read, args=(heard,), daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, token: int, job: bytes, items: Sequence[Any]) -> None:
        """Give it a chunk. Should it be dead, its reader says so."""
        self.token = token
        self._send((token, job, list(items)))

    def end(self) -> None:
        """End it; what it is at nobody waits for."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError, ValueError):  # the reader may be at it
                pipe.close()

    def _send(self, thing: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            send(self._process.stdin, thing)

    def _read(self, heard: SimpleQueue[tuple[_Process, Any]]) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            while True:
                heard.put((self, receive(self._process.stdout)))
        heard.put((self, None))
