"""The service: jobs wait in one fair queue, one worker draws them, they are kept, and who listens is told.

All methods may be called from any thread. Nothing heavy is imported until the first picture is drawn.
"""

from __future__ import annotations

import asyncio
import io
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lorasmith.adapters.catalogue import Catalogue
from lorasmith.errors import LorasmithError, StorageError
from lorasmith.prompts import parse
from lorasmith.prompts.networks import unknown_tag_error
from lorasmith.server.bases import BaseEntry, find_base, list_bases
from lorasmith.server.errors import BusyError, FieldError, MissingError, error_json
from lorasmith.server.fair_queue import FairQueue
from lorasmith.server.jobs import Item, Job, Reader, Result
from lorasmith.server.metrics import Metrics, resident_bytes
from lorasmith.server.orders import FINAL, Order, State
from lorasmith.server.settings import ServerSettings
from lorasmith.server.store import JobRow, PictureRow, Store
from lorasmith.server.throughput import Throughput
from lorasmith.tags.refusal import refuse

if TYPE_CHECKING:
    from PIL.Image import Image

    from lorasmith.generation.pictures import Picture
    from lorasmith.server.worker import Loader

_LOG = logging.getLogger("lorasmith.server")
THUMBNAIL = 256
PREVIEW_SECONDS = 5.0
"""How long after somebody asked for a preview they are still made."""
_STOPPING = "the server is stopping."


class Service:
    """Everything behind the HTTP faces. `loader` gives an engine on a base; left out, the real one."""

    def __init__(self, settings: ServerSettings, loader: Loader | None = None) -> None:
        self.settings = settings
        self._loader = loader
        self.limits = settings.limits
        self.store = Store(settings.data)
        self.catalogue = Catalogue(settings.adapters)
        self.bases = list_bases(settings.bases)
        self.options: dict[str, Any] = self.store.options()
        self.started = time.time()
        self.metrics = Metrics()
        self.lock = threading.Condition(threading.RLock())
        self.queue: FairQueue[Item] = FairQueue(self.limits.queue, self.limits.queue_per_client)
        self.live: dict[str, Job] = {}
        self.running: list[Item] = []
        self.closing = False
        self.loaded_base: str | None = None
        self.base_hashes: dict[str, str] = {}
        self.previews_until = 0.0
        self._throughput = Throughput(time.monotonic)
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="lorasmith-keeper")
        self._worker: threading.Thread | None = None
        self._declare_metrics()

    # Life

    def start(self) -> None:
        """Take up what the last run left unfinished, and let the worker begin."""
        from lorasmith.server.worker import Worker

        for row in self.store.unfinished():
            job = self._revive(row)
            if job is None:
                self.store.set_job(row.id, "cancelled")
                continue
            self.store.mark_job(job.id, job.state)
            self.live[job.id] = job
            self.queue.put(item for item in job.items if item.state == "queued")
        self.store.drop_inputs(self.store.inputs())
        self._worker = Worker(self, self._loader)
        self._worker.start()

    def close_doors(self) -> None:
        """Accept nothing more; let what is in the making finish. What waits is kept for the next start, or its client
        is told."""
        with self.lock:
            if self.closing:
                return
            self.closing = True
            for item in self.queue.remove(lambda item: item.job.face == "webui"):
                self._end(item, "cancelled", error=error_json(BusyError(_STOPPING, retry_after=10)))
            for job in list(self.live.values()):
                if job.face == "native":
                    job.tell({"event": "finished", "state": job.state, "stopping": True})
            self.lock.notify_all()

    def stop(self) -> None:
        """Close the doors, wait for the worker (no longer than the grace and one step), and close the records."""
        self.close_doors()
        if self._worker is not None:
            self._worker.join()
        self._keeper.shutdown(wait=True)
        self.dismiss()
        self.store.close()

    def dismiss(self) -> None:
        """Tell the clients that still wait for an answer that there will be none; pictures that are being written are
        written first."""
        if threading.current_thread() is self._worker:
            self._keeper.submit(self.dismiss)
            return
        with self.lock:
            for item in list(self.running):
                if item.job.face == "webui":
                    self._end(item, "cancelled", error=error_json(BusyError(_STOPPING, retry_after=10)))

    def _revive(self, row: JobRow) -> Job | None:
        """A job as it was when the server stopped; None when nothing of it can be drawn any more."""
        if row.kind == "grid" and not row.items:
            return None
        job = Job(row.id, row.client, "native", row.kind, detail=row.detail, created=row.created)
        job.items = [Item(job, each.number, each.order) for each in row.items]
        for item, each in zip(job.items, row.items, strict=True):
            if each.state in FINAL:
                item.state = each.state
                item.error = each.error
                if each.picture:
                    item.result = Result(None, each.picture, "", {})
        return job if any(item.state == "queued" for item in job.items) else None

    # Jobs

    def check_order(self, order: Order) -> None:
        """Raise what can be told at once: FieldError, PromptError, RefusedError."""
        most = self.limits
        for name, text in (("prompt", order.prompt), ("negative", order.negative)):
            if len(text) > most.prompt:
                raise FieldError(f"{len(text)} characters, the most are {most.prompt}.", where=name)
        steps = order.steps + (0 if order.hires is None else order.hires.steps)
        if steps > most.steps:
            raise FieldError(f"steps = {steps}, the most are {most.steps}.", where="steps")
        pixels = self.pixels_of(order)
        if pixels > most.pixels:
            raise FieldError(f"{pixels} pixels, the most are {most.pixels}.", where="width")
        find_base(self.bases, order.base)
        refuse([order.prompt, order.negative], "prompt")
        for text in (order.prompt, order.hires.prompt if order.hires else ""):
            prompt = parse(text, order.steps, order.compat)
            if prompt.unknown:
                raise unknown_tag_error(prompt.unknown[0])
            if len(prompt.networks) > most.adapters:
                raise FieldError(f"{len(prompt.networks)} adapters, the most are {most.adapters}.", where="prompt")
            self.check_adapters(*(network.name for network in prompt.networks))

    def check_adapters(self, *names: str) -> None:
        """Raise PromptError for the first name that no adapter has. The server's folders are not told."""
        self.catalogue.find(*names, where="prompt", hint="GET /api/v1/adapters lists those that there are.")

    def pixels_of(self, order: Order) -> int:
        """Pixels of the finished picture; a size left to the base counts nothing."""
        width, height = order.width or 0, order.height or 0
        if order.hires is not None:
            scale = order.hires.scale
            width, height = order.hires.width or int(width * scale), order.hires.height or int(height * scale)
        return width * height

    def submit(self, job: Job) -> Job:
        """Put a job into the queue, and into the records when it is one of our own. Raises BusyError."""
        with self.lock:
            if self.closing:
                raise BusyError(_STOPPING, retry_after=10)
            self.queue.check(job.client, len(job.items), self.seconds_each())
            if job.face == "native":
                orders = [item.order for item in job.items]
                self.store.add_job(job.id, job.client, job.face, job.kind, orders, job.detail)
            self.live[job.id] = job
            self.queue.put(job.items)
            self.lock.notify_all()
        self.metrics.add("lorasmith_jobs_total", face=job.face)
        return job

    def listen(self, job: Job, previews: bool = False) -> Reader:
        """A reader of a live job, on the running event loop; a finished job's reader is told so at once."""
        reader = Reader(asyncio.get_running_loop())
        reader.wants_previews = previews
        with self.lock:
            reader.push({"event": "state", "state": job.state, "share": job.share})
            if job.state in FINAL or self.closing:
                reader.push({"event": "finished", "state": job.state, "stopping": self.closing})
            else:
                job.readers.append(reader)
        return reader

    def leave(self, job: Job, reader: Reader) -> None:
        """A reader goes; a job that hangs on its readers is cancelled with the last of them."""
        with self.lock:
            if reader in job.readers:
                job.readers.remove(reader)
            abandoned = job.attached and not job.readers and job.state not in FINAL and not self.closing
        if abandoned:
            self.cancel(job)

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

    def cancel_client(self, client: str, only_running: bool = False) -> None:
        """What "interrupt" and "skip" of web UI clients mean: the jobs of this client that came by that face."""
        with self.lock:
            jobs = [job for job in self.live.values() if job.client == client and job.face == "webui"]
            started = [job for job in jobs if any(item.state == "running" for item in job.items)] or jobs[:1]
        for job in started:
            self.cancel(job, only_running)

    def find_live(self, job: str) -> Job | None:
        with self.lock:
            return self.live.get(job)

    def job_json(self, job: str) -> dict[str, Any]:
        """A job as our API shows it, running or long finished. Raises MissingError."""
        with self.lock:
            live = self.live.get(job)
            if live is not None and live.face == "native":
                return _live_json(live)
        row = self.store.job(job)
        if row is None:
            raise MissingError(f'no job "{job}".')
        return row_json(row)

    # What the worker says

    def take(self, fits: Callable[[Item], bool]) -> Item | None:
        """The next picture in turn that fits, marked as running."""
        with self.lock:
            item = self.queue.take(fits)
            if item is not None:
                if not self.running:
                    self._throughput.begin()
                is_first = item.job.state == "queued"
                item.state = "running"
                self.running.append(item)
                if is_first and item.job.face == "native":
                    self._note(lambda: self.store.mark_job(item.job.id, "running"))
            return item

    def begin(self, item: Item, steps: int) -> None:
        """A picture is in the making."""
        with self.lock:
            item.steps = steps
            item.job.tell({"event": "state", "state": item.job.state, "share": item.job.share})

    def move(self, item: Item, step: int, steps: int, preview: Image | None) -> None:
        """A picture came a step further."""
        with self.lock:
            if item.state != "running":
                return
            item.step, item.steps = step, steps
            event = {"event": "progress", "image": item.number, "step": step, "steps": steps, "share": item.job.share}
            item.job.tell(event)
            if preview is not None:
                item.preview = preview
                readers = [reader for reader in item.job.readers if reader.wants_previews]
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

    def finish(self, item: Item, picture: Picture) -> None:
        """A picture is drawn: it is written and told about by another thread, so that drawing goes on."""
        self._keeper.submit(self._keep, item, picture)

    def _keep(self, item: Item, picture: Picture) -> None:
        if item.state != "running":
            return
        try:
            result = self._write(item, picture)
        except LorasmithError as error:
            self.fail(item, error)
            return
        except Exception as fault:  # the client must be told, whatever it was
            self.fail(item, LorasmithError(f"the picture could not be written: {fault}."))
            return
        with self.lock:
            if item.state != "running":
                return
            self._throughput.finish()
            self._end(item, "done", result)

    def _write(self, item: Item, picture: Picture) -> Result:
        """Encode a picture, and keep it when its job is one of those that keep."""
        from lorasmith.generation.pictures import encode_picture

        png = encode_picture(picture)
        document = picture.as_json()
        kept = None
        if item.job.keep:
            kept = secrets.token_hex(16)
            row = PictureRow(
                id=kept,
                job=item.job.id if item.job.face == "native" else None,
                number=item.number,
                created=time.time(),
                width=picture.image.width,
                height=picture.image.height,
                seed=picture.request.seed,
                prompt=picture.request.prompt,
                base=picture.base_name,
                document=document,
                infotext=picture.infotext,
                bytes=len(png),
                kind="picture",
                order=item.order,
            )
            self.store.add_picture(row, png, jpeg_bytes(picture.image, THUMBNAIL))
        return Result(png if item.job.face == "webui" else None, kept, picture.infotext, document)

    def _end(
        self, item: Item, state: State, result: Result | None = None, error: Mapping[str, Any] | None = None
    ) -> None:
        """A picture's last word, and its job's when it was the last one. The lock is held."""
        if item.state in FINAL:
            return
        item.state = state
        item.result = result
        item.error = None if error is None else dict(error)
        if result is not None or item.job.face == "native":
            item.preview = None  # what was interrupted shows how far it came
        job = item.job
        self.metrics.add("lorasmith_pictures_total", outcome=state)
        if item in self.running:
            self.running.remove(item)
        picture = None if result is None else result.picture
        if job.face == "native":
            self._note(lambda: self.store.set_item(job.id, item.number, state, picture, item.error))
        told: dict[str, Any] = {"event": state, "image": item.number, "share": job.share}
        job.tell(told | ({"picture": picture} if picture else {}) | ({"error": item.error} if item.error else {}))
        if job.state in FINAL and job.kind == "grid" and not job.cancelled and not job.closing:
            job.closing = True
            self._keeper.submit(self._finish_grid, job)
        elif job.state in FINAL:
            self._end_job(job)

    def _finish_grid(self, job: Job) -> None:
        """Draw the sheets of a grid whose pictures are all there, and end the job."""
        try:
            job.detail["sheets"] = [self._keep_sheet(job, page, sheet) for page, sheet in enumerate(self._sheets(job))]
        except Exception as fault:  # the cells are there; a sheet that cannot be drawn must not hold them back
            job.detail["problem"] = f"the sheet could not be drawn: {fault}"
        with self.lock:
            job.closing = False
            self._end_job(job)

    def _sheets(self, job: Job) -> list[Image]:
        from lorasmith.server.grids import draw_sheets

        shown = {
            item.number: self.store.picture_path(item.result.picture)
            if item.result is not None and item.result.picture is not None
            else str((item.error or {}).get("message", item.state))
            for item in job.items
        }
        return draw_sheets(job.detail, shown, job.items[0].order.prompt)

    def _keep_sheet(self, job: Job, page: int, sheet: Image) -> str:
        png = png_bytes(sheet)
        order = job.items[0].order
        row = PictureRow(
            id=secrets.token_hex(16),
            job=job.id,
            number=page,
            created=time.time(),
            width=sheet.width,
            height=sheet.height,
            seed=order.seed,
            prompt=order.prompt,
            base=order.base,
            document={"grid": job.detail},
            infotext="",
            bytes=len(png),
            kind="grid",
            order=None,
        )
        self.store.add_picture(row, png, jpeg_bytes(sheet, THUMBNAIL))
        return row.id

    def _end_job(self, job: Job) -> None:
        if job.face == "native":
            self._note(lambda: self.store.set_job(job.id, job.state, job.detail))
        self.live.pop(job.id, None)
        if job.face == "webui":
            starts = [item.order.start for item in job.items if item.order.start is not None]
            going = {name for start in starts for name in (start.image, start.mask) if name}
            staying = {
                name
                for other in self.live.values()
                for item in other.items
                if item.order.start is not None
                for name in (item.order.start.image, item.order.start.mask)
            }
            self.store.drop_inputs(going - staying)
        job.tell({"event": "finished", "state": job.state, "stopping": False})
        job.readers.clear()

    def _note(self, write: Callable[[], None]) -> None:
        """Write to the records what has happened already. A full disk must not stop what goes on: who listens is told
        all the same, and what is missing in the records is drawn again after a restart."""
        try:
            write()
        except StorageError as error:
            _LOG.error("%s", error)
            self.metrics.add("lorasmith_records_lost_total")

    # Figures

    def wants_previews(self) -> bool:
        """Whether anybody looks at pictures in the making."""
        with self.lock:
            if time.monotonic() < self.previews_until:
                return True
            return any(reader.wants_previews for item in self.running for reader in item.job.readers)

    def ask_for_previews(self) -> None:
        self.previews_until = time.monotonic() + PREVIEW_SECONDS

    def seconds_each(self) -> float:
        """Seconds of drawing for each picture, lately; 1 before there was one."""
        with self.lock:
            return self._throughput.seconds or 1.0

    def default_base(self) -> BaseEntry:
        """What is drawn with when a request names none: the option of the web UI face, else the first one."""
        chosen = self.options.get("sd_model_checkpoint")
        return next((entry for entry in self.bases if entry.name == chosen), self.bases[0])

    def set_option(self, name: str, value: object) -> None:
        self.options[name] = value
        self.store.set_option(name, value)

    def status(self) -> dict[str, Any]:
        """The server at a glance."""
        with self.lock:
            return {
                "queued": len(self.queue),
                "running": len(self.running),
                "clients_waiting": self.queue.clients,
                "jobs": len(self.live),
                "pictures": self.store.count_pictures(),
                "base": self.loaded_base,
                "default_base": self.default_base().name,
                "seconds_per_picture": round(self.seconds_each(), 4) if self._throughput.seconds else None,
                "uptime": round(time.time() - self.started, 1),
                "stopping": self.closing,
                "limits": asdict(self.limits),
            }

    def _declare_metrics(self) -> None:
        count, gauge = self.metrics.counter, self.metrics.gauge
        count("lorasmith_requests_total", "HTTP requests by method, route and status.")
        count("lorasmith_request_seconds_total", "Time spent on HTTP requests by route.")
        count("lorasmith_jobs_total", "Jobs accepted by face.")
        count("lorasmith_pictures_total", "Pictures by outcome.")
        count("lorasmith_refused_total", "Requests refused by reason.")
        count("lorasmith_steps_total", "Steps of pictures drawn.")
        count("lorasmith_rounds_total", "Steps of the engine; steps over rounds is the mean number drawn together.")
        count("lorasmith_drawing_seconds_total", "Time in which something was being drawn.")
        count("lorasmith_records_lost_total", "What could not be written to the records, for want of space.")
        count("lorasmith_base_loads_total", "How often a base was loaded.")
        gauge("lorasmith_queue_length", "Pictures that wait.", lambda: float(len(self.queue)))
        gauge("lorasmith_pictures_running", "Pictures in the making.", lambda: float(len(self.running)))
        gauge("lorasmith_pictures_kept", "Pictures in the records.", lambda: float(self.store.count_pictures()))
        gauge("lorasmith_base_loaded", "1 when a base is in memory.", lambda: float(self.loaded_base is not None))
        gauge("lorasmith_uptime_seconds", "Since the start.", lambda: time.time() - self.started)
        gauge("process_resident_memory_bytes", "Memory in use.", resident_bytes)


def png_bytes(image: Image) -> bytes:
    """A PNG without a word of what is on it."""
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


def jpeg_bytes(image: Image, side: int | None = None) -> bytes:
    """A JPEG, no larger than `side` pixels a side."""
    from PIL import Image as Pillow

    small = image.convert("RGB")
    if side is not None:
        small.thumbnail((side, side), Pillow.Resampling.BOX)
    held = io.BytesIO()
    small.save(held, "JPEG", quality=85)
    return held.getvalue()


def jpeg_url(image: Image) -> str:
    """A picture as a data URL."""
    import base64

    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(image)).decode("ascii")


def _live_json(job: Job) -> dict[str, Any]:
    pictures = [
        {
            "number": item.number,
            "state": item.state,
            "step": item.step,
            "steps": item.steps,
            "seed": item.order.seed,
            "picture": None if item.result is None else item.result.picture,
            "error": item.error,
        }
        for item in job.items
    ]
    return _job_json(job.id, job.kind, job.state, job.share, job.created, None, job.detail, pictures)


def row_json(row: JobRow) -> dict[str, Any]:
    """A job from the records as our API shows it."""
    pictures = [
        {
            "number": item.number,
            "state": item.state,
            "step": 0,
            "steps": item.order.steps,
            "seed": item.order.seed,
            "picture": item.picture,
            "error": item.error,
        }
        for item in row.items
    ]
    final = sum(item.state in FINAL for item in row.items)
    share = final / max(1, len(row.items))
    return _job_json(row.id, row.kind, row.state, share, row.created, row.finished, row.detail, pictures)


def _job_json(
    job: str,
    kind: str,
    state: str,
    share: float,
    created: float,
    finished: float | None,
    detail: Mapping[str, Any],
    pictures: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    return {
        "id": job,
        "kind": kind,
        "state": state,
        "share": share,
        "created": created,
        "finished": finished,
        "detail": dict(detail),
        "pictures": list(pictures),
    }
