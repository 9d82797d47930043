"""The job board: what a policy promises is kept, and any body can stand behind the worker's border."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lorasmith.errors import UsageError
from lorasmith.generation.pictures import Picture
from lorasmith.generation.spec import PictureSpec
from lorasmith.server.engine import open_start
from lorasmith.server.errors import BusyError
from lorasmith.server.interfaces import Worker, WorkSource
from lorasmith.server.jobs import Item, Job, JobPolicy, new_job
from lorasmith.server.rows import JobRow
from lorasmith.server.service import Service
from lorasmith.server.stored_spec import read_stored, write_stored
from tests.server.running import Plain, plain_settings, wait_for

POLICIES = [
    JobPolicy("face", recorded, keeps, awaited, hangs)
    for recorded in (False, True)
    for keeps in (False, True)
    for awaited in (False, True)
    for hangs in (False, True)
]


def spelled(policy: JobPolicy) -> str:
    return "-".join(name for name, value in vars(policy).items() if value is True)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that was not started: nobody draws."""
    service = Service(plain_settings(tmp_path), POLICIES[-1:], Plain())
    yield service
    service.stop()


def drawn(item: Item) -> Picture:
    request = open_start(item.spec, Path)
    return Picture(Image.new("RGB", (64, 64)), request, (), str(item.spec.base), "0" * 64, item.spec.prompt)


def put(service: Service, policy: JobPolicy, count: int = 1, client: str = "me") -> Job:
    job = new_job(
        client, policy, [PictureSpec(prompt="hat", seed=seed, base="doodle", width=64) for seed in range(count)]
    )
    service.board.add(job)
    return job


def row_of(service: Service, job: Job) -> JobRow | None:
    return service.store.job(job.id)


@pytest.mark.parametrize("policy", POLICIES, ids=spelled)
def test_a_policy_is_kept(service: Service, policy: JobPolicy) -> None:
    board = service.board
    job = put(service, policy)
    assert (row_of(service, job) is not None) is policy.recorded
    assert (board.find(job.id) is job) is policy.recorded
    item = board.take(lambda _: True)
    assert item is job.items[0]
    board.begin(item, 4)
    board.finish(item, drawn(item))
    wait_for(lambda: job.state == "done")
    assert item.result is not None
    assert (item.result.png is not None) is policy.awaited
    assert (item.result.picture is not None) is policy.keeps_pictures
    assert service.store.count_pictures() == policy.keeps_pictures
    row = row_of(service, job)
    assert (row is not None and row.state == "done") is policy.recorded
    assert board.live == {}


@pytest.mark.parametrize("policy", POLICIES, ids=spelled)
def test_the_last_reader_the_interrupter_and_the_closing(service: Service, policy: JobPolicy) -> None:
    board = service.board

    async def leave() -> None:
        job = put(service, policy)
        first, last = board.listen(job), board.listen(job)
        board.leave(job, first)
        assert job in board.live.values()
        board.leave(job, last)
        assert job.cancelled is policy.hangs_on_readers
        board.cancel(job)

    asyncio.run(leave())
    interrupted, other = put(service, policy), put(service, policy, client="another")
    item = board.take(lambda _: True)
    assert item is interrupted.items[0]
    board.move(item, 1, 2, Image.new("RGB", (8, 8)))
    board.interrupt("me")
    assert interrupted.cancelled is policy.awaited
    assert item.preview is not None, "an interrupted picture shows how far it came; others are still in the making"
    assert other in board.live.values()
    board.close()
    assert (other.items[0].state == "cancelled") is not policy.recorded
    if not policy.recorded:
        assert other.items[0].error is not None
        assert other.items[0].error["status"] == 503
    with pytest.raises(BusyError, match="stopping"):
        put(service, policy)


def test_who_waits_for_the_end_is_not_woken_before(service: Service) -> None:
    async def wait() -> tuple[list[str], list[str]]:
        job = put(service, POLICIES[0])
        every, last = service.board.listen(job), service.board.listen(job, only_last=True)
        item = service.board.take(lambda _: True)
        assert item is job.items[0]
        for step in (1, 2):
            service.board.move(item, step, 2, None)
        service.board.cancel(job)
        heard = [[event["event"] async for event in reader.events()] for reader in (every, last)]
        return heard[0], heard[1]

    heard, at_the_end = asyncio.run(wait())
    assert "progress" in heard
    assert at_the_end == ["finished"]
    assert heard[-1:] == at_the_end


class Replica:
    """A body that draws elsewhere: it is sent specs as JSON, and what it answers is told to the board."""

    def __init__(self) -> None:
        self.base: str | None = None
        self.hashes: dict[str, str] = {}
        self.figures: dict[str, float] = {}
        self.sent: list[str] = []
        self._thread = threading.Thread(target=lambda: None)

    def start(self, source: WorkSource, preload: str | None = None) -> None:
        self.base = preload
        self._thread = threading.Thread(target=self._serve, args=(source,))
        self._thread.start()

    def unload(self) -> None:
        """It has no base."""

    def join(self) -> None:
        self._thread.join()

    def _serve(self, source: WorkSource) -> None:
        while not source.closing:
            source.wait()
            while (item := source.take(lambda _: True)) is not None:
                self.sent.append(write_stored(item.spec))
                source.begin(item, 2)
                source.move(item, 1, 2, None)
                if "wrong" in item.spec.prompt:
                    source.fail(item, UsageError("it is wrong."))
                else:
                    source.finish(item, drawn(item))
        source.dismiss()


def test_another_body_draws_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    policy = JobPolicy("face", recorded=True, keeps_pictures=True)
    service = Service(plain_settings(tmp_path), [policy], Plain())
    job = put(service, policy, count=3)
    service.stop()

    service = Service(plain_settings(tmp_path), [policy], Plain())
    replica = Replica()
    body: Worker = replica
    service.worker = body
    service.start()
    wait_for(lambda: not service.board.live)
    known: dict[str, Any] = service.job_json(job.id)
    assert known["state"] == "done"
    assert [read_stored(each).seed for each in replica.sent] == [0, 1, 2]
    assert service.store.count_pictures() == 3
    service.stop()
