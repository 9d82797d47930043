"""A disk that is full at the n-th write, for every n of a job's life: what was asked for ends, in words, and nothing is
lost, half written or drawn twice."""

from __future__ import annotations

import base64
import errno
import io
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from lorasmith.errors import StorageError
from lorasmith.generation.spec import StoredInit
from lorasmith.server.states import FINAL
from lorasmith.server.store import Store
from lorasmith.server.uvicorn_server import UvicornServer
from tests.server.running import Plain, plain_settings, running, wait_for

MOST = 100


class Disk:
    """Counts the writes of a server; from the `first`-th on, `count` of them find no room."""

    def __init__(self) -> None:
        self.written = 0
        self.first, self.count = 0, 0

    def fill(self, first: int, count: int) -> None:
        self.written, self.first, self.count = 0, first, count

    def empty(self) -> None:
        self.count = 0

    def finds_room(self) -> bool:
        self.written += 1
        return not self.first <= self.written < self.first + self.count


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    really_writing = Store._writing

    @contextmanager
    def writing(self: Store) -> Iterator[sqlite3.Connection]:
        with really_writing(self) as db:
            yield db
            if not disk.finds_room():
                raise sqlite3.OperationalError("database or disk is full")

    def writes(name: str, fault: Callable[[], Exception]) -> None:
        module, _, called = name.rpartition(".")
        really = getattr(__import__(module, fromlist=[called]), called)

        def write(*given: Any, **named: Any) -> Any:
            if not disk.finds_room():
                raise fault()
            return really(*given, **named)

        monkeypatch.setattr(name, write)

    monkeypatch.setattr(Store, "_writing", writing)
    writes("lorasmith.server.store.write_file", lambda: StorageError("cannot write: No space left on device."))
    writes("lorasmith.server.input_files.write_file", lambda: StorageError("cannot write: No space left on device."))
    writes("tempfile.NamedTemporaryFile", lambda: OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr("lorasmith.server.records.RETRY_SECONDS", 0.01)
    assert tempfile.NamedTemporaryFile is not None
    return disk


def picture(colour: str) -> str:
    held = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(held, "PNG")
    return base64.b64encode(held.getvalue()).decode()


SMALL = {"prompt": "red", "steps": 2, "width": 64, "height": 64}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "pictures": ("/api/v1/jobs", {**SMALL, "count": 2, "init": {"image": picture("red"), "mask": picture("white")}}),
    "batch": ("/api/v1/batches", {"shared": SMALL, "pictures": [{}, {"prompt": "broken"}, {"prompt": "wrong"}]}),
    "grid": ("/api/v1/grids", {**SMALL, "seed": 1, "x": "steps=2,3", "z": "cfg=3,4"}),
    "txt2img": ("/sdapi/v1/txt2img", {**SMALL, "sampler_name": "Euler", "save_images": True, "batch_size": 2}),
    "img2img": ("/sdapi/v1/img2img", {**SMALL, "sampler_name": "Euler", "init_images": [picture("blue")]}),
}


def follow(client: httpx.Client, kind: str) -> dict[str, Any] | None:
    """Ask for a job of a kind and hear its end; gives the job where one was taken, or nothing."""
    path, body = KINDS[kind]
    answer = client.post(path, json=body)
    if answer.status_code == 507:
        assert answer.json()["detail"]
        return None
    if path.startswith("/sdapi"):
        assert answer.status_code == 200, answer.text
        return None
    assert answer.status_code == 202, answer.text
    job: str = answer.json()["id"]
    for _ in range(2):  # as it goes, and from the end
        with client.stream("GET", f"/api/v1/jobs/{job}/events") as stream:
            events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
        assert events[-1]["event"] == "finished"
        assert events[-1]["state"] in FINAL
    known: dict[str, Any] = client.get(f"/api/v1/jobs/{job}").json()
    assert known["state"] == events[-1]["state"]
    assert known["finished"] is not None
    assert job in {each["id"] for each in client.get("/api/v1/jobs", params={"limit": 500}).json()["jobs"]}
    return known


def check(client: httpx.Client, server: UvicornServer, data: Path, job: dict[str, Any] | None) -> None:
    """What must hold when a job has ended and there is room: records and files agree, nobody waits."""
    service = server.service
    wait_for(lambda: not service.board.live)
    wait_for(lambda: service.records.owed == 0, 60)
    assert not service.board.running
    assert len(service.board.queue) == 0
    assert service.store.unfinished() == []
    files = [path.stem for path in (data / "pictures").rglob("*") if path.is_file()]
    assert sorted(files) == sorted(row.id for row in service.store.pictures(10_000))
    if job is None:
        return
    again = client.get(f"/api/v1/jobs/{job['id']}").json()
    assert {**again, "pictures": None} == {**job, "pictures": None}
    for before, after in zip(job["pictures"], again["pictures"], strict=True):
        assert after["state"] in FINAL
        assert (before["state"], before["picture"], before["error"]) == (
            *(after["state"], after["picture"], after["error"]),
        )
        assert (after["picture"] in files) is (after["state"] == "done")
        assert (after["error"] is not None) is (after["state"] == "failed")
        if after["error"] is not None and "it is wrong" not in after["error"]["message"] != "it broke.":
            assert after["error"]["status"] == 507
            assert "full" in after["error"]["message"] or "No space" in after["error"]["message"]
    assert set(job["detail"].get("sheets", ())) <= set(files)


@pytest.mark.parametrize("lasting", [False, True], ids=["one write", "all writes from there"])
@pytest.mark.parametrize("kind", KINDS)
def test_full_at_the_nth_write(disk: Disk, tmp_path: Path, kind: str, lasting: bool) -> None:
    data = tmp_path / "data"
    with running(plain_settings(tmp_path), Plain()) as (client, server):
        for first in range(1, MOST):
            disk.fill(first, MOST if lasting else 1)
            job = follow(client, kind)
            reached = disk.written >= first
            disk.empty()
            check(client, server, data, job)
            if not reached:
                break
        assert 2 < first < MOST - 1
        assert follow(client, "pictures") is not None
        jobs = server.service.store.jobs(limit=1000)
        assert jobs
        starts = [item.spec.init for row in jobs for item in row.items if isinstance(item.spec.init, StoredInit)]
        named = {name for start in starts for name in (start.image, start.mask)}
        assert set(server.service.store.inputs()) <= named
    loader = Plain()
    with running(plain_settings(tmp_path), loader) as (_, server):
        assert server.service.store.jobs(limit=1000) == jobs
        assert not server.service.board.live
    assert loader.loaded == []


@pytest.mark.parametrize("kind", ["pictures", "batch", "grid"])
def test_full_until_it_starts_anew(disk: Disk, tmp_path: Path, kind: str) -> None:
    """What could not be written before the end goes on at the next start, and ends as it should."""
    data = tmp_path / "data"
    for first in range(1, MOST):
        disk.empty()
        with running(plain_settings(tmp_path), Plain()) as (client, server):
            disk.fill(first, MOST)
            follow(client, kind)
            reached = disk.written >= first
        disk.empty()
        with running(plain_settings(tmp_path), Plain()) as (client, server):
            check(client, server, data, None)
            for job in client.get("/api/v1/jobs", params={"limit": 500}).json()["jobs"]:
                assert job["state"] in ("done", "failed")
                assert job["finished"] is not None
                check(client, server, data, job)
        if not reached:
            break
    assert 2 < first < MOST - 1


def test_what_cannot_be_deleted_or_set_stays(disk: Disk, tmp_path: Path) -> None:
    with running(plain_settings(tmp_path), Plain()) as (client, server):
        job = follow(client, "pictures")
        assert job is not None
        kept = job["pictures"][0]["picture"]
        disk.fill(1, MOST)
        assert client.delete(f"/api/v1/pictures/{kept}").status_code == 507
        assert client.post("/sdapi/v1/options", json={"CLIP_stop_at_last_layers": 2}).status_code == 507
        assert client.post("/sdapi/v1/png-info", json={"image": picture("red")}).status_code == 507
        assert client.get(f"/api/v1/pictures/{kept}/file").status_code == 200
        assert client.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"] == 1
        disk.empty()
        check(client, server, tmp_path / "data", job)
        assert client.delete(f"/api/v1/pictures/{kept}").status_code == 204


def test_a_job_cancelled_while_the_disk_is_full(disk: Disk, tmp_path: Path) -> None:
    loader = Plain()
    loader.gate.clear()
    with running(plain_settings(tmp_path, batch_size=1), loader) as (client, server):
        job = client.post("/api/v1/jobs", json={**SMALL, "count": 3}).json()["id"]
        wait_for(lambda: bool(server.service.board.running))
        disk.fill(1, MOST)
        assert client.delete(f"/api/v1/jobs/{job}").json()["state"] == "cancelled"
        loader.gate.set()
        assert client.get(f"/api/v1/jobs/{job}").json()["state"] == "cancelled"
        disk.fill(2, MOST)  # only one of its pictures is noted
        wait_for(lambda: disk.written > 1)
    disk.empty()
    loader = Plain()
    with running(plain_settings(tmp_path), loader) as (client, server):
        wait_for(lambda: not server.service.board.live)
        assert client.get(f"/api/v1/jobs/{job}").json()["state"] == "cancelled"
    assert loader.loaded == []
