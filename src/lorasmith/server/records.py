"""What becomes of jobs, written down as it happens, for those whose policy asks for it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from lorasmith.errors import StorageError
from lorasmith.generation.spec import StoredInit
from lorasmith.server.input_files import InputFiles
from lorasmith.server.jobs import Item, Job
from lorasmith.server.metrics import Metrics
from lorasmith.server.store import Store

_LOG = logging.getLogger("lorasmith.server")
RETRY_SECONDS = 2.0
"""Between attempts to write what could not be written."""


@dataclass
class _Debt:
    """What of a job does not stand in the records yet."""

    job: Job
    items: dict[int, Item] = field(default_factory=dict)


class JobRecords:
    """The job board's view of the store.

    What is new is written before it counts. What has happened is noted as soon as the disk allows: a full one must not
    stop what goes on, who listens is told all the same, and what is owed is written when there is room again. What
    was still owed when the server ended is drawn again.
    """

    def __init__(self, store: Store, inputs: InputFiles, metrics: Metrics) -> None:
        self._store = store
        self._inputs = inputs
        self._metrics = metrics
        self._lock = threading.RLock()
        self._debts: dict[str, _Debt] = {}
        self._stopped = threading.Event()
        self._collector: threading.Thread | None = None

    def add(self, job: Job) -> None:
        """A new job with its specs, whose inputs stay from now on. Raises StorageError, and nothing is kept."""
        if not job.policy.recorded:
            self._inputs.hold(_inputs(job))
        else:
            specs = [item.spec for item in job.items]
            face = job.policy.face
            self._store.add_job(job.id, job.client, face, job.kind, specs, job.detail, job.created)

    def note(self, job: Job, *items: Item) -> None:
        """How a job stands, and the last word on pictures of it."""
        if not job.policy.recorded:
            if job.finished is not None:
                self._inputs.release(_inputs(job))
            return
        with self._lock:
            debt = self._debts.setdefault(job.id, _Debt(job))
            # NOTE: a picture that is kept stands in the records as done, with its job, since it was kept.
            debt.items.update((item.number, item) for item in items if item.result is None)
            try:
                self._pay(debt)
            except StorageError as error:
                _LOG.error("%s", error)
                self._metrics.add("lorasmith_records_lost_total")
                if self._collector is None and not self._stopped.is_set():
                    self._collector = threading.Thread(target=self._collect, name="lorasmith-records", daemon=True)
                    self._collector.start()

    def find_owed(self, job: str) -> Job | None:
        """A job of which the records do not tell the last."""
        with self._lock:
            debt = self._debts.get(job)
            return None if debt is None else debt.job

    @property
    def owed(self) -> int:
        """How many jobs these are."""
        return len(self._debts)

    def stop(self) -> None:
        """Write what is owed, if there is room."""
        self._stopped.set()
        if self._collector is not None:
            self._collector.join()
        self._pay_all()

    def _collect(self) -> None:
        while not self._stopped.wait(RETRY_SECONDS):
            with self._lock:
                if self._pay_all():
                    self._collector = None
                    return

    def _pay_all(self) -> bool:
        """Whether nothing is owed any more."""
        with self._lock:
            try:
                for debt in list(self._debts.values()):
                    self._pay(debt)
            except StorageError:
                return False
            return True

    def _pay(self, debt: _Debt) -> None:
        job = debt.job
        for item in list(debt.items.values()):
            self._store.set_item(job.id, item.number, item.state, error=item.error)
            del debt.items[item.number]
        state = job.state
        if job.finished is not None:
            self._store.set_job(job.id, state, job.detail, job.finished)
        elif state != job.noted:
            self._store.mark_job(job.id, state)
            job.noted = state
        del self._debts[job.id]


def _inputs(job: Job) -> set[str]:
    """The pictures that a job starts from."""
    starts = [item.spec.init for item in job.items if isinstance(item.spec.init, StoredInit)]
    return {name for start in starts for name in (start.image, start.mask) if name}
