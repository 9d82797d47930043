"""What becomes of jobs, written down as it happens, for those whose policy asks for it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lorasmith.errors import StorageError
from lorasmith.server.jobs import Item, Job
from lorasmith.server.metrics import Metrics
from lorasmith.server.store import Store

_LOG = logging.getLogger("lorasmith.server")


class JobRecords:
    """The job board's view of the store.

    What is new is written before it counts. What has happened is noted as well as the disk allows: a full one must not
    stop what goes on, who listens is told all the same, and what is missing is drawn again after a restart.
    """

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def add(self, job: Job) -> None:
        """A new job with its specs. Raises StorageError, and nothing is kept."""
        if job.policy.recorded:
            specs = [item.spec for item in job.items]
            self._store.add_job(job.id, job.client, job.policy.face, job.kind, specs, job.detail)

    def note_state(self, job: Job) -> None:
        """How a job stands that is not final."""
        state = job.state
        self._note(job, lambda: self._store.mark_job(job.id, state))

    def note_item(self, item: Item) -> None:
        """A picture's last word."""
        picture = None if item.result is None else item.result.picture
        self._note(item.job, lambda: self._store.set_item(item.job.id, item.number, item.state, picture, item.error))

    def note_end(self, job: Job) -> None:
        """A job's last word."""
        self._note(job, lambda: self._store.set_job(job.id, job.state, job.detail))

    def drop_inputs(self, names: set[str]) -> None:
        """Delete pictures to start from that no record names."""
        self._store.drop_inputs(names)

    def _note(self, job: Job, write: Callable[[], None]) -> None:
        if not job.policy.recorded:
            return
        try:
            write()
        except StorageError as error:
            _LOG.error("%s", error)
            self._metrics.add("lorasmith_records_lost_total")
