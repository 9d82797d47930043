"""The queue's states, and that it is one file which several may use."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from lorasmith.errors import StorageError
from lorasmith.jobs.queue import SCHEMA, JobQueue, NoSuchJobError
from lorasmith.project import Project
from lorasmith.storage.places import data_folder
from tests.projects import build_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return build_project(tmp_path / "p", "epochs = 1")


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path / "home")


def test_jobs_wait_in_order_and_outlive_the_process(queue: JobQueue, project: Project) -> None:
    first, second = queue.add(project, ["rank=2"]), queue.add(project, [])
    assert (first.state, first.assignments, first.project) == ("waiting", ("rank=2",), str(project.root))
    assert Path(first.run).parent == project.runs
    assert first.run != second.run
    again = JobQueue(queue.folder)
    assert again.jobs() == [first, second]
    taken = again.claim("cpu")
    assert taken is not None
    assert (taken.id, taken.state, taken.device) == (first.id, "running", "cpu")
    assert queue.note_step(first.id, 3, 10) == "running"
    assert (queue.job(first.id).step, queue.job(first.id).steps) == (3, 10)
    assert queue.end(first.id, "done").state == "done"
    assert queue.claim("cpu") is not None
    assert queue.claim("cpu") is None


def test_a_job_is_claimed_once(queue: JobQueue, project: Project) -> None:
    for _ in range(6):
        queue.add(project, [])
    claimed: list[int] = []

    def claim() -> None:
        while (job := queue.claim("cpu")) is not None:
            claimed.append(job.id)

    threads = [threading.Thread(target=claim) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [1, 2, 3, 4, 5, 6]


def test_cancel_retry_remove(queue: JobQueue, project: Project) -> None:
    job = queue.add(project, [])
    assert queue.cancel(job.id).state == "cancelled"
    assert queue.claim("cpu") is None
    assert queue.retry(job.id).state == "waiting"
    queue.claim("cpu")
    with pytest.raises(NoSuchJobError, match="is running: it cannot be removed"):
        queue.remove(job.id)
    assert queue.cancel(job.id).state == "stopping"
    assert queue.note_step(job.id, 1, 2) == "stopping"
    with pytest.raises(NoSuchJobError, match="is stopping: it cannot be tried again"):
        queue.retry(job.id)
    queue.end(job.id, "cancelled")
    queue.log_file(job.id).write_text("x")
    queue.remove(job.id)
    assert queue.jobs() == []
    assert not queue.log_file(job.id).exists()
    with pytest.raises(NoSuchJobError, match=f"there is no job {job.id}"):
        queue.cancel(job.id)


def test_what_a_dead_worker_left_goes_on(queue: JobQueue, project: Project) -> None:
    ids = [queue.add(project, []).id for _ in range(3)]
    for device in ("cpu", "cpu", "0"):
        queue.claim(device)
    queue.cancel(ids[1])
    assert [job.id for job in queue.recover("cpu")] == ids[:2]
    assert [queue.job(number).state for number in ids] == ["waiting", "cancelled", "running"]


def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queue.db").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    with pytest.raises(StorageError, match="LORASMITH_HOME"):
        JobQueue(tmp_path)
    monkeypatch.setenv("LORASMITH_HOME", str(tmp_path / "mine"))
    assert data_folder() == tmp_path / "mine"


def test_a_queue_of_before_is_read_and_a_probe_is_kept(tmp_path: Path, project: Project) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "queue.db")) as db:
        db.executescript(f"{SCHEMA.migrations[0]} pragma user_version = 1;")
        db.execute("insert into jobs (project, assignments, state, created) values ('p', '[]', 'waiting', 1)")
        db.commit()
    queue = JobQueue(folder)
    assert not queue.job(1).probe
    assert queue.add(project, [], probe=True).probe
    assert queue.jobs()[1].as_json()["probe"] is True
