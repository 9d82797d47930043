"""The worker: takes jobs from the queue one after another; one worker a device.

A job runs in a process of its own, so that its end, of whatever kind, is not the worker's. The device is held by a
lock that both have open: it is free when both are gone, and only then may another worker take over. A job whose
worker dies ends itself at its next event, with its state saved, since nobody hears it any more.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, ClassVar

from lorasmith.errors import LorasmithError, Stopped, UsageError
from lorasmith.events import Event, Note, Progress, Work
from lorasmith.jobs.queue import JobQueue, QueuedRun
from lorasmith.project import safe_name
from lorasmith.remedies import Action, Do, Give, Sentence
from lorasmith.storage.locks import HeldError, hold

_PYTHON = sys.executable
_LOOK_SECONDS = 0.5
"""How often the queue is looked at while a job runs or none waits."""
_LOOKED_AT = 0.2
"""Seconds for which somebody may look whether a device is held."""
_MARKS = ("recipe.toml", "sweep.json")
"""A run's folder with one of these can be gone on with."""


class BusyError(LorasmithError):
    """The device has a worker already."""

    exit_code = 1
    http_status = 409


@dataclass(frozen=True)
class JobChanged(Event):
    """A job has come to another state."""

    name: ClassVar[str] = "job"
    job: int
    state: str
    project: str
    message: str = ""


@dataclass
class Tally:
    """How many jobs a worker has brought to which end."""

    done: int = 0
    failed: int = 0
    cancelled: int = 0

    def as_json(self) -> dict[str, int]:
        return {"done": self.done, "failed": self.failed, "cancelled": self.cancelled}


def default_device() -> str:
    """The first GPU where the system shows one, else "cpu"."""
    return "0" if Path("/dev/nvidia0").exists() else "cpu"


def device_lock(queue: JobQueue, device: str) -> Path:
    """The file that a device's worker holds."""
    return queue.folder / f"device-{safe_name(device)}.lock"


def run_queue(queue: JobQueue, device: str, *, watch: bool = False) -> Work[Tally]:
    """Run waiting jobs on `device` ("cpu", or a GPU's number) until none is left; with `watch` for ever.

    Jobs that a dead worker left are gone on with. Raises BusyError when the device has a worker, Stopped after
    Ctrl-C, StorageError: the job under way then waits again, its state saved.
    """
    if device != "cpu" and not device.isdigit():
        raise UsageError(f'"{device}" is no device.', hint='Write "cpu", or the number of a GPU.')
    tally = Tally()
    with _hold(device_lock(queue, device), device) as lock:
        for job in queue.recover(device):
            yield Note(f"job {job.id} was left by a worker that ended: it goes on from its last state.")
        while True:
            claimed = queue.claim(device)
            if claimed is not None:
                try:
                    ended = yield from _run(queue, claimed, device, lock)
                except BaseException as stop:
                    with suppress(LorasmithError):  # a full disk: then whoever works next finds it left
                        queue.end(claimed.id, "waiting", "its worker was stopped.")
                    if not isinstance(stop, KeyboardInterrupt):
                        raise
                    raise Stopped(
                        f"job {claimed.id} waits again; its state is saved.",
                        hint="Go on with:",
                        remedy=Do(Action.RUN_JOBS),
                    ) from None
                setattr(tally, ended, getattr(tally, ended) + 1)
            elif watch:
                time.sleep(_LOOK_SECONDS)
            else:
                return tally


def _run(queue: JobQueue, job: QueuedRun, device: str, lock: int) -> Work[str]:
    """A job from its start to its end, which it gives: done, failed or cancelled."""
    yield JobChanged(job.id, "running", job.project)
    yield Note(f"job {job.id}: {job.project}")
    run = Path(job.run)
    resume = ["--resume"] if any((run / mark).is_file() for mark in _MARKS) else []
    probe = ["--probe"] if job.probe else []
    settings = [word for assignment in job.assignments for word in ("--set", assignment)]
    command = [_PYTHON, "-m", "lorasmith.cli.main", "train", job.project, "--run", job.run, "--json"]
    with queue.log_file(job.id).open("ab") as log, tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [*command, *resume, *probe, *settings],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            env=_environment(device),
            pass_fds=(lock,) if os.name == "posix" else (),
        )
        try:
            yield from _follow(queue, job, child, log)
            code = child.wait()
        except BaseException:
            _end_softly(child)
            raise
        said.seek(0)
        words = said.read().decode("utf-8", "replace")
        log.write(words.encode("utf-8"))
    state, message = _judge(code, words, queue.job(job.id).state)
    queue.end(job.id, state, message)
    yield JobChanged(job.id, state, job.project, message)
    if state == "failed":
        yield Note(f"job {job.id} failed: {message} Its log: {queue.log_file(job.id)}", "warning")
    else:
        yield Note(f"job {job.id} is {state}: {job.run}")
    return state


def _follow(queue: JobQueue, job: QueuedRun, child: subprocess.Popen[bytes], log: IO[bytes]) -> Iterator[Event]:
    """Log what a child says, report how far it is, and end it when it shall."""
    assert child.stdout is not None
    lines: SimpleQueue[bytes | None] = SimpleQueue()
    threading.Thread(target=_read, args=(child.stdout, lines), daemon=True).start()
    looked, asked = 0.0, False
    step, steps = job.step, job.steps
    while True:
        try:
            line = lines.get(timeout=_LOOK_SECONDS)
        except Empty:
            line = b""
        if line is None:
            queue.note_step(job.id, step, steps)  # what came since the last look
            return
        if line:
            log.write(line)
            log.flush()
            event = _read_event(line)
            if event.get("event") == "step":
                step, steps = int(event["step"]), int(event["steps"])
                yield Progress(f"job {job.id}", step, steps, event.get("eta"))
        if time.monotonic() - looked >= _LOOK_SECONDS:
            looked = time.monotonic()
            if queue.note_step(job.id, step, steps) == "stopping" and not asked:
                asked = True
                child.send_signal(signal.SIGINT)


def _read(stream: IO[bytes], lines: SimpleQueue[bytes | None]) -> None:
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)


def _read_event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _judge(code: int, words: str, state: str) -> tuple[str, str]:
    """The state that a child's exit code means, and why."""
    if code == 0:
        return "done", ""
    if state == "stopping":
        return "cancelled", ""
    if code < 0:
        return "failed", f"the process was killed (signal {-code})."
    for line in reversed(words.splitlines()):
        error = _read_event(line.encode()).get("error")
        if isinstance(error, dict):
            words_of_error = [error.get("message"), error.get("hint")]
            return "failed", " ".join(str(part) for part in words_of_error if part)
    return "failed", (words.strip().splitlines() or [f"exit code {code}."])[-1]


def _end_softly(child: subprocess.Popen[bytes]) -> None:
    """Ask a child to save its state and end; in a terminal it has heard the same Ctrl-C already."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
    try:
        child.wait(timeout=120)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _environment(device: str) -> Mapping[str, str]:
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "" if device == "cpu" else device, "PYTHONUNBUFFERED": "1"}


@contextmanager
def _hold(file: Path, device: str) -> Iterator[int]:
    """Hold the device's lock; its descriptor. Raises BusyError."""
    try:
        lock = hold(file, wait=_LOOKED_AT)
    except HeldError as fault:
        who = f" ({fault.whose})" if fault.process else ""
        raise BusyError(
            f"the device {device} has a worker already{who}, or a job that ends itself now.",
            where=file,
            remedy=Sentence("Wait a moment, or name another device with ", Give("device"), "."),
        ) from None
    with lock:
        yield lock.fileno()
