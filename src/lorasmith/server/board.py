"""The job board: which jobs live, how their pictures stand, and who is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lorasmith.errors import LorasmithError
from lorasmith.server.encoding import jpeg_url
from lorasmith.server.errors import BusyError, error_json
from lorasmith.server.fair_queue import FairQueue
from lorasmith.server.finished import FinishedPicture
from lorasmith.server.jobs import Item, Job, JobPolicy, Result
from lorasmith.server.keeper import PictureKeeper
from lorasmith.server.metrics import Metrics
from lorasmith.server.readers import Reader
from lorasmith.server.records import JobRecords
from lorasmith.server.rows import JobRow
from lorasmith.server.states import FINAL, State
from lorasmith.server.throughput import Throughput

if TYPE_CHECKING:
    from PIL.Image import Image

    from lorasmith.generation.pictures import Picture

PREVIEW_SECONDS = 5.0
"""How long after somebody asked for a preview they are still made."""


def stopping_error() -> BusyError:
    """What is told to those whose pictures will not be drawn any more."""
    return BusyError("the server is stopping.", retry_after=10)


def last_event(state: State, stopping: bool) -> dict[str, Any]:
    """The last that is told of a job: that it is finished, or that the server stops before it is."""
    return {"event": "finished" if state in FINAL else "stopping", "state": state, "stopping": stopping}


class JobBoard:
    """The jobs in the making. Faces put jobs on it and listen, a worker takes pictures from it and tells how they
    stand (`lorasmith.server.worker.WorkSource`). All methods may be called from any thread; `lock` guards what is
    read from outside.
    """

    def __init__(self, queue: FairQueue[Item], keeper: PictureKeeper, records: JobRecords, metrics: Metrics) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.queue = queue
        self.live: dict[str, Job] = {}
        self.running: list[Item] = []
        self.closing = False
        self.throughput = Throughput(time.monotonic)
        self._keeper = keeper
        self._records = records
        self._metrics = metrics
        self._previews_until = 0.0

    # Jobs

    def add(self, job: Job) -> None:
        """Put a job into the queue, and into the records when its policy says so. Raises BusyError, StorageError."""
        with self.lock:
            if self.closing:
                raise stopping_error()
            self.queue.check(job.client, len(job.items), self.seconds_each())
            self._records.add(job)
            self.live[job.id] = job
            self.queue.put(job.items)
            self.lock.notify_all()
        self._metrics.add("lorasmith_jobs_total", face=job.policy.face)

    def revive(self, row: JobRow, policy: JobPolicy) -> None:
        """Go on with a job as it was when the server stopped: with what waits, or with what is made of its pictures,
        or with its end, if only that was not written any more."""
        job = Job(row.id, row.client, policy, row.kind, detail=row.detail, created=row.created, noted=row.state)
        job.items = [Item(job, each.number, each.spec) for each in row.items]
        for item, each in zip(job.items, row.items, strict=True):
            if each.state in FINAL:
                item.state = each.state
                item.error = each.error
                if each.picture:
                    item.result = Result(None, each.picture, "", {})
        waiting = [item for item in job.items if item.state == "queued"]
        job.cancelled = any(item.state == "cancelled" for item in job.items)
        with self.lock:
            self.live[job.id] = job
            if not waiting:
                self._all_ended(job)
            elif job.cancelled:  # its last word was not written for all of its pictures
                self.cancel(job)
            else:
                self.queue.put(waiting)
                self._records.note(job)
                self.lock.notify_all()

    def find(self, job: str) -> Job | None:
        """A live job that is in the records; the others are known to nobody but their client."""
        with self.lock:
            found = self.live.get(job)
            return found if found is not None and found.policy.recorded else None

    def cancel(self, job: Job, only_running: bool = False) -> None:
        """Give up what is not finished (or only what is in the making). Pictures stop within a step."""
        with self.lock:
            if not only_running:
                job.cancelled = True
                self.queue.remove(lambda item: item.job is job)
            for item in job.items:
                if item.state == "running" or (item.state == "queued" and not only_running):
                    self._end(item, "cancelled")
            self.lock.notify_all()

    def interrupt(self, client: str, only_running: bool = False) -> None:
        """Give up what a client waits for: its jobs in the making, else the first of those that wait."""
        with self.lock:
            jobs = [job for job in self.live.values() if job.client == client and job.policy.awaited]
            started = [job for job in jobs if any(item.state == "running" for item in job.items)] or jobs[:1]
        for job in started:
            self.cancel(job, only_running)

    # Readers

    def listen(self, job: Job, previews: bool = False, only_last: bool = False) -> Reader:
        """A reader of a live job, or of its last event alone, on the running event loop; a finished job's reader is
        told so at once."""
        reader = Reader(asyncio.get_running_loop(), only_last)
        reader.wants_previews = previews
        with self.lock:
            reader.push({"event": "state", "state": job.state, "share": job.progress})
            if job.state in FINAL or self.closing:
                reader.push(last_event(job.state, self.closing))
            else:
                job.readers.append(reader)
        return reader

    def leave(self, job: Job, reader: Reader) -> None:
        """A reader goes; a job that hangs on its readers is cancelled with the last of them."""
        with self.lock:
            if reader in job.readers:
                job.readers.remove(reader)
            hangs = job.policy.hangs_on_readers and not job.readers
            abandoned = hangs and job.state not in FINAL and not self.closing
        if abandoned:
            self.cancel(job)

    def ask_for_previews(self) -> None:
        """Have previews made for a while."""
        self._previews_until = time.monotonic() + PREVIEW_SECONDS

    # Closing

    def close(self) -> None:
        """Accept nothing more; let what is in the making finish. What waits is kept for the next start, or its client
        is told."""
        with self.lock:
            if self.closing:
                return
            self.closing = True
            for item in self.queue.remove(lambda item: not item.job.policy.recorded):
                self._end(item, "cancelled", error=error_json(stopping_error()))
            for job in list(self.live.values()):
                if job.policy.recorded:
                    job.tell(last_event(job.state, stopping=True))
            self.lock.notify_all()

    # What a worker asks and tells

    def wait(self) -> None:
        """Return when a picture waits or the board closes."""
        with self.lock:
            while not (self.closing or len(self.queue)):
                self.lock.wait()

    def take(self, fits: Callable[[Item], bool]) -> Item | None:
        """The next picture in turn that fits, marked as running; none once the board closes."""
        with self.lock:
            item = None if self.closing else self.queue.take(fits)
            if item is not None:
                if not self.running:
                    self.throughput.begin()
                is_first = item.job.state == "queued"
                item.state = "running"
                self.running.append(item)
                if is_first:
                    self._records.note(item.job)
            return item

    def begin(self, item: Item, steps: int) -> None:
        """A picture is in the making."""
        with self.lock:
            item.steps = steps
            item.job.tell({"event": "state", "state": item.job.state, "share": item.job.progress})

    def move(self, item: Item, step: int, steps: int, preview: Image | None) -> None:
        """A picture came a step further."""
        with self.lock:
            if item.state != "running":
                return
            item.step, item.steps = step, steps
            job = item.job
            job.tell({"event": "progress", "image": item.number, "step": step, "steps": steps, "share": job.progress})
            if preview is not None:
                item.preview = preview
                readers = [reader for reader in job.readers if reader.wants_previews]
            else:
                readers = []
        if readers and preview is not None:
            data = jpeg_url(preview)
            for reader in readers:
                reader.push({"event": "preview", "image": item.number, "data": data})

    def fail(self, item: Item, error: LorasmithError) -> None:
        """A picture cannot be drawn."""
        with self.lock:
            self._end(item, "failed", error=error_json(error))

    def finish(self, item: Item, picture: Picture | FinishedPicture) -> None:
        """A picture is drawn: it is written and told about by the keeper's thread."""
        self._keeper.keep(item, picture, then=self._kept)

    def dismiss(self) -> None:
        """Tell those who still wait that no more will come, once the pictures that are being written are written."""
        self._keeper.after_all(self._dismiss)

    def wants_previews(self) -> bool:
        """Whether anybody looks at pictures in the making."""
        with self.lock:
            if time.monotonic() < self._previews_until:
                return True
            return any(reader.wants_previews for item in self.running for reader in item.job.readers)

    def seconds_each(self) -> float:
        """Seconds of drawing for each picture, lately; 1 before there was one."""
        with self.lock:
            return self.throughput.seconds or 1.0

    # Ends

    def _kept(self, item: Item, result: Result | LorasmithError) -> None:
        with self.lock:
            if item.state != "running":
                return
            if isinstance(result, LorasmithError):
                self._end(item, "failed", error=error_json(result))
            else:
                self.throughput.finish()
                self._end(item, "done", result)

    def _dismiss(self) -> None:
        with self.lock:
            for item in list(self.running):
                if not item.job.policy.recorded:
                    self._end(item, "cancelled", error=error_json(stopping_error()))

    def _end(
        self, item: Item, state: State, result: Result | None = None, error: Mapping[str, Any] | None = None
    ) -> None:
        """A picture's last word, and its job's when it was the last one. The lock is held."""
        if item.state in FINAL:
            return
        item.state = state
        item.result = result
        item.error = None if error is None else dict(error)
        job = item.job
        if result is not None or not job.policy.awaited:
            item.preview = None  # what was interrupted shows its client how far it came
        self._metrics.add("lorasmith_pictures_total", outcome=state)
        if item in self.running:
            self.running.remove(item)
        over = job.state in FINAL
        event: dict[str, Any] = {"event": state, "image": item.number, "share": job.progress}
        picture = None if result is None else result.picture
        job.tell(event | ({"picture": picture} if picture else {}) | ({"error": item.error} if item.error else {}))
        if over:
            self._all_ended(job, item)
        else:
            self._records.note(job, item)

    def _all_ended(self, job: Job, *items: Item) -> None:
        """All pictures of a job have had their last word."""
        if self._keeper.completes(job):
            job.completing = True
            self._records.note(job, *items)
            self._keeper.complete(job, then=self._completed)
        else:
            self._end_job(job, *items)

    def _completed(self, job: Job) -> None:
        with self.lock:
            job.completing = False
            self._end_job(job)

    def _end_job(self, job: Job, *items: Item) -> None:
        job.finished = time.time()
        self._records.note(job, *items)
        self.live.pop(job.id, None)
        job.tell(last_event(job.state, stopping=False))
        job.readers.clear()
