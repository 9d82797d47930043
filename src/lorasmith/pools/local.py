"""Workers as processes of this machine, started afresh (nothing is forked), a thread each."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Collection, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from lorasmith.pools.hand import READY
from lorasmith.pools.pipes import receive, send
from lorasmith.pools.pool import NoWorkers, Said

HAND = "lorasmith.pools.hand"
_BORN_DEAD = 3
"""So many processes in a row that end before they can do the job: none is going to."""
_OPENING = 0
"""The token of no chunk: a job is opened."""


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

    def free(self, job: bytes, wanted: int, ahead: int = 1) -> int:
        while len(self._processes) < min(self.workers, wanted):
            try:
                self._processes.append(_Process(self._heard))
            except OSError:
                if not self._processes:
                    raise NoWorkers from None
                break
        for process in self._processes:
            process.prepare(job)
        return sum(ahead - len(process.holds) for process in self._processes if process.is_open(job))

    def ask(self, token: int, job: bytes, items: Sequence[Any]) -> None:
        ready = [process for process in self._processes if process.is_open(job)]
        min(ready, key=lambda process: len(process.holds)).ask(token, job, items)

    def hear(self, seconds: float) -> list[tuple[int, list[Said] | None]] | None:
        try:
            process, said = self._heard.get(timeout=seconds)
        except Empty:
            return None
        if said is None:
            return self._mourn(process)
        if said == READY:
            process.ready = True
            return []
        token, answer = said
        if token == _OPENING:
            process.opening, self._born_dead = False, 0
            return []
        process.holds.remove(token)
        return [(token, answer)]

    def drop(self, tokens: Collection[int]) -> None:
        for process in [one for one in self._processes if not set(tokens).isdisjoint(one.holds)]:
            self._processes.remove(process)
            process.end()

    def close(self) -> None:
        for process in self._processes:
            process.end()
        self._processes.clear()

    def _mourn(self, process: _Process) -> list[tuple[int, list[Said] | None]]:
        """What a process that ended had: it was at the first of it."""
        if process not in self._processes:
            return []
        self._processes.remove(process)
        process.end()
        if process.opening or not process.ready:
            self._born_dead += 1
            if self._born_dead >= _BORN_DEAD:
                if not self._processes:
                    raise NoWorkers
                self.workers = len(self._processes)  # memory may not last for more
        return [(token, [] if number else None) for number, token in enumerate(process.holds)]


class _Process:
    """One process: `holds` are the tokens of the chunks that it has, the first of which it is at; a thread reads what
    it says into `heard`, None at its end. `opening` while it opens its job."""

    def __init__(self, heard: SimpleQueue[tuple[_Process, Any]]) -> None:
        self.ready, self.opening = False, False
        self.holds: list[int] = []
        self._job: bytes | None = None
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

    def prepare(self, job: bytes) -> None:
        """Have it open the job once it has nothing else to do."""
        if self.ready and not self.opening and not self.holds and self._job != job:
            self._job, self.opening = job, True
            self._send((_OPENING, job, []))

    def is_open(self, job: bytes) -> bool:
        """Whether it can do the job at once."""
        return self.ready and not self.opening and self._job == job

    def ask(self, token: int, job: bytes, items: Sequence[Any]) -> None:
        """Give it a chunk. Should it be dead, its reader says so."""
        self.holds.append(token)
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
