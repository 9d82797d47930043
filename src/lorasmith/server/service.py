"""The service: what stands behind the HTTP faces, put together.

Jobs wait on the board in one fair queue, a worker draws their pictures, the keeper keeps them, the records outlive a
restart, and admission turns away what cannot be. All methods may be called from any thread. Nothing heavy is imported
until the first picture is drawn.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from lorasmith.adapters.embeddings.catalogue import EmbeddingCatalogue
from lorasmith.adapters.stored.lookup import StoredCatalogue
from lorasmith.adapters.stored.store import AdapterStore
from lorasmith.errors import StorageError
from lorasmith.generation.advice import advise_specs
from lorasmith.generation.spec import PictureSpec
from lorasmith.library.lookup import LibraryLookup
from lorasmith.prompts.dynamic.wildcards import Wildcards
from lorasmith.server.admission import Admission
from lorasmith.server.bases import BaseEntry, list_bases
from lorasmith.server.board import JobBoard
from lorasmith.server.cluster.worker import ReplicaWorker
from lorasmith.server.errors import MissingError
from lorasmith.server.fair_queue import FairQueue
from lorasmith.server.input_files import InputFiles
from lorasmith.server.interfaces import Loader, Worker
from lorasmith.server.job_json import live_json, row_json
from lorasmith.server.jobs import Item, Job, JobPolicy
from lorasmith.server.keeper import PictureKeeper
from lorasmith.server.metrics import Metrics, resident_bytes
from lorasmith.server.records import JobRecords
from lorasmith.server.settings import ServerSettings
from lorasmith.server.store import Store
from lorasmith.server.stored import COUNTED, MEASURED
from lorasmith.server.tasks import TaskNames
from lorasmith.server.worker import DRAWN, EngineWorker
from lorasmith.storage.locks import HeldError, hold

LOCK_NAME = "server.lock"


class Service:
    """Everything behind the HTTP faces. `faces` are the policies of those whose jobs go on after a restart; `loader`
    gives an engine on a base, left out, the real one.

    The data folder is held until `stop`: of two servers only one draws what waits there. Raises StorageError when
    another has it, or when it cannot be used.
    """

    def __init__(self, settings: ServerSettings, faces: Sequence[JobPolicy], loader: Loader | None = None) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.started = time.time()
        self.metrics = Metrics()
        self.bases = list_bases(settings.bases)
        stores = [AdapterStore(url) for url in settings.stores]
        for store in stores:
            store.check()
        self._held = _hold(settings.data)
        with ExitStack() as undo:
            undo.callback(self._held.close)
            self.store = Store(settings.data)
            undo.callback(self.store.close)
            self.worker: Worker = self._open_worker(loader)
            undo.pop_all()
        self.inputs = InputFiles(self.store)
        self.options: dict[str, Any] = self.store.options()
        self.catalogue = StoredCatalogue(settings.adapters, stores, LibraryLookup())
        self.embeddings = EmbeddingCatalogue(settings.adapters)
        self.admission = Admission(self.limits, self.bases, self.catalogue, self.embeddings)
        self.keeper = PictureKeeper(self.store)
        queue: FairQueue[Item] = FairQueue(self.limits.queue, self.limits.queue_per_client)
        self.records = JobRecords(self.store, self.inputs, self.metrics)
        self.board = JobBoard(queue, self.keeper, self.records, self.metrics)
        self.tasks = TaskNames()
        self._faces = {policy.face: policy for policy in faces}
        self._declare_metrics()

    def _open_worker(self, loader: Loader | None) -> Worker:
        """What draws: a thread of this process, or replicas on a cluster. Raises ClusterError."""
        given = (self.bases, self.settings, self.store.input_path, self.metrics)
        if self.settings.cluster is None:
            return EngineWorker(*given, loader)
        from lorasmith.server.cluster.ray_fleet import open_fleet

        fleet = open_fleet(self.settings, self.bases[0].name if self.settings.preload else None, loader)
        return ReplicaWorker(fleet, *given)

    # Life

    def start(self) -> None:
        """Take up what the last run left unfinished, and let the worker begin."""
        for row in self.store.unfinished():
            if row.face in self._faces:
                self.board.revive(row, self._faces[row.face])
        self.store.remove_partials()
        self.inputs.tidy()
        self.worker.start(self.board, self.default_base().name if self.settings.preload else None)

    def stop(self) -> None:
        """Close the doors, wait for the worker (no longer than the grace and one step), and close the records."""
        self.board.close()
        self.worker.join()
        self.keeper.stop()
        self.records.stop()
        self.store.close()
        self._held.close()

    # What faces ask

    def find_job(self, job: str) -> Job | None:
        """A job of which more is known than stands in the records: it lives, or its end could not be written yet."""
        return self.board.find(job) or self.records.find_owed(job)

    def job_json(self, job: str) -> dict[str, Any]:
        """A job as our API shows it, running or long finished. Raises MissingError."""
        with self.board.lock:
            known = self.find_job(job)
            if known is not None:
                return live_json(known)
        row = self.store.job(job)
        if row is None:
            raise MissingError(f'no job "{job}".')
        return row_json(row)

    def advise(self, specs: Sequence[PictureSpec]) -> list[dict[str, Any]]:
        """What the prompts of these pictures may not have meant, as JSON."""
        return [advice.as_json() for advice in advise_specs(specs, self.admission)]

    def wildcards(self) -> Wildcards:
        """The lists that templates may name, as they lie on the disk now; none where there is no such folder."""
        root = self.settings.wildcards
        return Wildcards(root if root is not None and root.is_dir() else None)

    def default_base(self) -> BaseEntry:
        """What is drawn with when a request names none: the option of the web UI face, else the first one."""
        chosen = self.options.get("sd_model_checkpoint")
        return next((entry for entry in self.bases if entry.name == chosen), self.bases[0])

    def set_option(self, name: str, value: object) -> None:
        """Set an option for all clients, for good. Raises StorageError, and it is as it was."""
        self.store.set_option(name, value)
        self.options[name] = value

    def status(self) -> dict[str, Any]:
        """The server at a glance."""
        board = self.board
        with board.lock:
            seconds = board.throughput.seconds
            return {
                "queued": len(board.queue),
                "running": len(board.running),
                "clients_waiting": board.queue.clients,
                "jobs": len(board.live),
                "pictures": self.store.count_pictures(),
                "base": self.worker.base,
                "default_base": self.default_base().name,
                "seconds_per_picture": None if seconds is None else round(seconds, 4),
                "uptime": round(time.time() - self.started, 1),
                "stopping": board.closing,
                "limits": asdict(self.limits),
            }

    def _declare_metrics(self) -> None:
        count, gauge, board = self.metrics.counter, self.metrics.gauge, self.board
        count("lorasmith_requests_total", "HTTP requests by method, route and status.")
        count("lorasmith_request_seconds_total", "Time spent on HTTP requests by route.")
        count("lorasmith_jobs_total", "Jobs accepted by face.")
        count("lorasmith_pictures_total", "Pictures by outcome.")
        count("lorasmith_refused_total", "Requests refused by reason.")
        count("lorasmith_records_lost_total", "What could not be written to the records at once.")
        for name, text in DRAWN.items():
            count(name, text)
        gauge("lorasmith_queue_length", "Pictures that wait.", lambda: float(len(board.queue)))
        gauge("lorasmith_pictures_running", "Pictures in the making.", lambda: float(len(board.running)))
        gauge("lorasmith_pictures_kept", "Pictures in the records.", lambda: float(self.store.count_pictures()))
        gauge("lorasmith_records_owed", "Jobs whose records wait for room.", lambda: float(self.records.owed))
        gauge("lorasmith_base_loaded", "1 when a base is in memory.", lambda: float(self.worker.base is not None))
        gauge("lorasmith_uptime_seconds", "Since the start.", lambda: time.time() - self.started)
        gauge("process_resident_memory_bytes", "Memory in use.", resident_bytes)
        if self.settings.stores:
            for name, text in {**COUNTED, **MEASURED}.items():
                kind = "counter" if name in COUNTED else "gauge"
                gauge(name, text, partial(self._figure, name), kind)

    def _figure(self, name: str) -> float:
        return self.worker.figures.get(name, 0.0)


def _hold(folder: Path) -> BinaryIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return hold(folder / LOCK_NAME)
    except HeldError as held:
        raise StorageError(
            f"another server works here: process {held.process or 'unknown'}.",
            where=folder,
            hint="Stop that one, or give this one another folder for its data.",
        ) from None
    except OSError as fault:
        raise StorageError(f"cannot write: {fault.strerror}.", where=folder) from fault
