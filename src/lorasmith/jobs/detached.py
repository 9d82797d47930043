"""Commands in processes of their own that outlive whoever started them: the queue's worker, an exam.

Such a process holds a lock for as long as it lives, so that everybody sees that it does, and writes what it says to a
log, one event a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.errors import LorasmithError
from lorasmith.jobs.queue import JobQueue
from lorasmith.jobs.worker import default_device, device_lock
from lorasmith.storage.files import write_file
from lorasmith.storage.locks import HeldError, hold, is_held

_PYTHON = sys.executable
_SUPERVISED = 1.0
"""How often it is looked whether waiting jobs have a worker."""
_TAIL = 1 << 16
_ENDS = ("verdict", "done")
"""What a command says last when it has done its work."""


class RunningError(LorasmithError):
    """Such a process runs already."""

    exit_code = 1
    http_status = 409


@dataclass(frozen=True)
class DetachedState:
    """How a process stands: none, running, done, failed or stopped. `last` is its last event of progress, `message` why
    it failed; `began` in seconds since the epoch, None before any."""

    state: str
    arguments: tuple[str, ...] = ()
    process: int | None = None
    began: float | None = None
    last: Mapping[str, Any] | None = None
    message: str = ""

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self)) | {"arguments": list(self.arguments)}


class DetachedCommand:
    """A command of the program in a process of its own, at most one at a time; its files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock, self._order, self.log = folder / "lock", folder / "order.json", folder / "events.jsonl"

    def start(self, arguments: Sequence[str]) -> DetachedState:
        """Run ``lorasmith ARGUMENTS``. Raises RunningError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = hold(self._lock, wait=1.0)
        except HeldError as held:
            raise RunningError(
                f"{held.whose} does this already.", where=self.folder, hint="Wait until it has ended, or stop it."
            ) from None
        with lock, self.log.open("wb") as log:
            child = _spawn(arguments, log.fileno(), (lock.fileno(),))
            lock.truncate(0)
            lock.write(b"%d" % child)
            lock.flush()
            write_file(self._order, json.dumps({"arguments": list(arguments), "process": child, "began": time.time()}))
        return self.state()

    def stop(self) -> DetachedState:
        """Ask it to save its state and end, as Ctrl-C does; nothing where it does not run."""
        order = self._read()
        if is_held(self._lock) and isinstance(order.get("process"), int):
            with contextlib.suppress(ProcessLookupError):
                os.kill(order["process"], signal.SIGINT)
        return self.state()

    def state(self) -> DetachedState:
        """How it stands; also after another process has started it."""
        order = self._read()
        if not order:
            return DetachedState("none")
        running = is_held(self._lock)
        last, message, ended = None, "", ""
        for event in self._events():
            if event.get("event") in ("progress", "step"):
                last = event
            elif "error" in event and isinstance(event["error"], dict):
                error = event["error"]
                message = " ".join(str(error[key]) for key in ("message", "hint") if error.get(key))
                ended = "stopped" if error.get("kind") == "Stopped" else "failed"
            elif event.get("event") in _ENDS:
                ended = "done"
        state = "running" if running else ended or "stopped"
        return DetachedState(
            state, tuple(order.get("arguments", ())), order.get("process"), order.get("began"), last, message
        )

    def result(self) -> dict[str, Any] | None:
        """The last event of a process that has done its work; None of any other."""
        if is_held(self._lock):
            return None
        events = self._events()
        return events[-1] if events and events[-1].get("event") in _ENDS else None

    def _read(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self._order.read_text("utf-8"))
            return found if isinstance(found, dict) else {}
        return {}

    def _events(self) -> list[dict[str, Any]]:
        found = []
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            for line in file:
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict):
                        found.append(event)
        return found


def start_worker(queue: JobQueue, device: str = "") -> None:
    """See to it that a worker works through the queue: one that runs does, else one is started in a process of its own.

    As long as this process lives and jobs wait, it is looked again, for a worker may end in the very moment in which a
    job comes.
    """
    device = device or default_device()
    threading.Thread(target=_supervise, args=(queue, device), daemon=True, name="queue").start()


def worker_lives(queue: JobQueue, device: str = "") -> bool:
    """Whether the device has a worker now."""
    return is_held(device_lock(queue, device or default_device()))


def _supervise(queue: JobQueue, device: str) -> None:
    while any(job.state in ("waiting", "running", "stopping") for job in queue.jobs()):
        if not worker_lives(queue, device):
            with (queue.folder / "logs" / "worker.log").open("ab") as log:
                _spawn(["queue", "run", "--device", device, "--json"], log.fileno())
            time.sleep(2 * _SUPERVISED)  # until it holds its lock
        time.sleep(_SUPERVISED)


def _spawn(arguments: Sequence[str], out: int, passed: tuple[int, ...] = ()) -> int:
    """Start the program in a session of its own; its process id. What it says goes to `out`."""
    child = subprocess.Popen(
        [_PYTHON, "-m", "lorasmith.cli.main", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
        pass_fds=passed if os.name == "posix" else (),
    )
    threading.Thread(target=child.wait, daemon=True, name=f"process {child.pid}").start()
    return child.pid
