"""The worker: jobs to their end, stopped, failed, killed; one worker a device."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lorasmith.errors import UsageError
from lorasmith.events import Event, finish
from lorasmith.jobs import worker
from lorasmith.jobs.queue import JobQueue
from lorasmith.jobs.worker import BusyError, JobChanged, run_queue
from lorasmith.project import Project
from tests.projects import build_project

TRAINER = """
import json, os, signal, sys, time
project, run = sys.argv[sys.argv.index("train") + 1], sys.argv[sys.argv.index("--run") + 1]
ways = dict(word.split("=") for word in sys.argv if "=" in word)
os.makedirs(run, exist_ok=True)
state = os.path.join(run, "state")
step = int(open(state).read()) if "--resume" in sys.argv and os.path.exists(state) else 0
open(os.path.join(run, "recipe.toml"), "w").close()
stopped = []
signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
while step < 40:
    step += 1
    open(state, "w").write(str(step))
    try:
        print(json.dumps({"event": "step", "step": step, "steps": 40, "probe": "--probe" in sys.argv}), flush=True)
    except BrokenPipeError:
        os._exit(1)
    if ways.get("fail") == str(step):
        sys.stderr.write(json.dumps({"error": {"message": "it broke.", "hint": "Mend it."}}) + "\\n")
        sys.exit(9)
    if ways.get("die") == str(step) and not os.path.exists(state + ".died"):
        open(state + ".died", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if stopped:
        sys.exit(130)
    time.sleep(float(ways.get("pause", 0)))
"""
"""A stand-in for a training: it says its steps and can be gone on with."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return build_project(tmp_path / "p", "epochs = 1")


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobQueue:
    script = tmp_path / "trainer.py"
    script.write_text(TRAINER)
    stand_in = tmp_path / "python"
    stand_in.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} -S {script} "$@"\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(worker, "_PYTHON", str(stand_in))
    monkeypatch.setattr(worker, "_LOOK_SECONDS", 0.02)
    return JobQueue(tmp_path / "home")


def test_jobs_run_one_after_another(queue: JobQueue, project: Project) -> None:
    queue.add(project, [])
    queue.add(project, ["fail=3"])
    queue.add(project, [])
    events: list[Event] = []
    tally = finish(run_queue(queue, "cpu"), events.append)
    assert tally.as_json() == {"done": 2, "failed": 1, "cancelled": 0}
    assert [(event.job, event.state) for event in events if isinstance(event, JobChanged)] == [
        (1, "running"), (1, "done"), (2, "running"), (2, "failed"), (3, "running"), (3, "done"),
    ]  # fmt: skip
    failed = queue.job(2)
    assert failed.message == "it broke. Mend it."
    assert "it broke" in queue.log_file(2).read_text()
    assert len([line for line in queue.log_file(1).read_text().splitlines() if '"step"' in line]) == 40


def test_a_probe_is_asked_for(queue: JobQueue, project: Project) -> None:
    jobs = [queue.add(project, [], probe=probe) for probe in (True, False)]
    finish(run_queue(queue, "cpu"))
    asked = [json.loads(queue.log_file(job.id).read_text().splitlines()[0])["probe"] for job in jobs]
    assert asked == [True, False]


def test_what_was_killed_is_told_and_goes_on(queue: JobQueue, project: Project) -> None:
    job = queue.add(project, ["die=20"])
    finish(run_queue(queue, "cpu"))
    assert (queue.job(job.id).state, queue.job(job.id).message) == ("failed", "the process was killed (signal 9).")
    queue.retry(job.id)
    finish(run_queue(queue, "cpu"))
    assert queue.job(job.id).state == "done"
    steps = [line for line in queue.log_file(job.id).read_text().splitlines() if '"step"' in line]
    assert len(steps) == 40


def test_a_running_job_is_cancelled_and_tried_again(queue: JobQueue, project: Project) -> None:
    job = queue.add(project, ["pause=0.03"])
    asked = False

    def cancel(event: Event) -> None:
        nonlocal asked
        if not asked and event.name == "progress":
            asked = True
            queue.cancel(job.id)

    assert finish(run_queue(queue, "cpu"), cancel).cancelled == 1
    cancelled = queue.job(job.id)
    assert cancelled.state == "cancelled"
    assert not [number for number in (0, 40) if number == int(Path(cancelled.run, "state").read_text())]
    queue.retry(job.id)
    assert finish(run_queue(queue, "cpu")).done == 1


def test_a_device_has_one_worker(queue: JobQueue, project: Project) -> None:
    queue.add(project, [])
    first = run_queue(queue, "cpu")
    next(first)
    with pytest.raises(BusyError, match="cpu has a worker already"):
        finish(run_queue(queue, "cpu"))
    assert finish(run_queue(queue, "1")).done == 0
    first.close()
    assert queue.job(1).state == "waiting"
    assert finish(run_queue(queue, "cpu")).done == 1
    with pytest.raises(UsageError, match='"gpu" is no device'):
        finish(run_queue(queue, "gpu"))


WORKER = """
import sys
from pathlib import Path
from lorasmith.events import finish
from lorasmith.jobs import worker
from lorasmith.jobs.queue import JobQueue
worker._PYTHON = sys.argv[2]
worker._LOOK_SECONDS = 0.02
finish(worker.run_queue(JobQueue(Path(sys.argv[1])), "cpu"), lambda event: print(event.name, flush=True))
"""


def test_kill_9_of_the_worker(queue: JobQueue, project: Project) -> None:
    """The job ends itself, since nobody hears it; the next worker goes on with it."""
    job = queue.add(project, ["pause=0.03"])
    command = [sys.executable, "-c", WORKER, str(queue.folder), worker._PYTHON]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "progress":
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert queue.job(job.id).state == "running"
    for _ in range(500):
        try:
            tally = finish(run_queue(queue, "cpu"))
            break
        except BusyError:
            time.sleep(0.02)
    assert tally.done == 1
    assert queue.job(job.id).state == "done"
    said = [line for line in queue.log_file(job.id).read_text().splitlines() if '"step"' in line]
    assert [line for line in said if '"step": 40,' in line]
    assert len([line for line in said if '"step": 1,' in line]) == 1, "it went on, it did not begin again"
