"""Pictures that are drawn: encoded, written, put into the records, by a thread of its own, so that drawing goes on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from lorasmith.errors import LorasmithError
from lorasmith.server.encoding import jpeg_bytes, png_bytes
from lorasmith.server.finished import THUMBNAIL, FinishedPicture, finish_picture
from lorasmith.server.jobs import Item, Job, Result
from lorasmith.server.rows import PictureRow
from lorasmith.server.sheets import draw_sheets
from lorasmith.server.store import Store

if TYPE_CHECKING:
    from PIL.Image import Image

    from lorasmith.generation.pictures import Picture

GRID = "grid"
"""The kind of job whose pictures are put on sheets."""


class PictureKeeper:
    """Keeps pictures one after another. A full disk fails a picture, and nothing else."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lorasmith-keeper")

    def keep(
        self, item: Item, picture: Picture | FinishedPicture, then: Callable[[Item, Result | LorasmithError], None]
    ) -> None:
        """Encode a picture where that is not done yet, and keep it when its job's policy says so; `then` is told what
        came of it."""
        self._thread.submit(self._keep, item, picture, then)

    def completes(self, job: Job) -> bool:
        """Whether something is made of a job's pictures when all are there."""
        return job.kind == GRID and not job.cancelled

    def complete(self, job: Job, then: Callable[[Job], None]) -> None:
        """Make of a job's pictures what is to be made of them."""
        self._thread.submit(self._draw_sheets, job, then)

    def after_all(self, call: Callable[[], None]) -> None:
        """Call when all that was given so far is kept."""
        self._thread.submit(call)

    def stop(self) -> None:
        """Return when all that was given is kept."""
        self._thread.shutdown(wait=True)

    def _keep(
        self, item: Item, picture: Picture | FinishedPicture, then: Callable[[Item, Result | LorasmithError], None]
    ) -> None:
        if item.state != "running":
            return
        result: Result | LorasmithError
        try:
            finished = picture if isinstance(picture, FinishedPicture) else finish_picture(picture)
            result = self._write(item, finished)
        except LorasmithError as error:
            result = error
        except Exception as fault:  # the client must be told, whatever it was
            result = LorasmithError(f"the picture could not be written: {fault}.")
        then(item, result)

    def _write(self, item: Item, picture: FinishedPicture) -> Result:
        policy = item.job.policy
        kept = None
        if policy.keeps_pictures:
            row = PictureRow(
                id=secrets.token_hex(16),
                job=item.job.id if policy.recorded else None,
                number=item.number,
                created=time.time(),
                width=picture.width,
                height=picture.height,
                seed=picture.seed,
                prompt=picture.prompt,
                base=picture.base,
                document=dict(picture.document),
                infotext=picture.infotext,
                bytes=len(picture.png),
                kind="picture",
                spec=item.spec,
            )
            self._store.add_picture(row, picture.png, picture.thumbnail)
            kept = row.id
        return Result(picture.png if policy.awaited else None, kept, picture.infotext, picture.document)

    def _draw_sheets(self, job: Job, then: Callable[[Job], None]) -> None:
        """The sheets of a grid whose pictures are all there."""
        try:
            shown = {item.number: self._shown(item) for item in job.items}
            kept = self._store.sheets(job.id)  # when the server ended before the job did
            sheets = draw_sheets(job.detail, shown, job.items[0].spec.prompt)
            job.detail["sheets"] = [
                kept.get(page) or self._write_sheet(job, page, each) for page, each in enumerate(sheets)
            ]
        except Exception as fault:  # the cells are there; a sheet that cannot be drawn must not hold them back
            job.detail["problem"] = f"the sheet could not be drawn: {fault}"
        then(job)

    def _shown(self, item: Item) -> Path | str:
        if item.result is not None and item.result.picture is not None:
            return self._store.picture_path(item.result.picture)
        return str((item.error or {}).get("message", item.state))

    def _write_sheet(self, job: Job, page: int, sheet: Image) -> str:
        png = png_bytes(sheet)
        spec = job.items[0].spec
        row = PictureRow(
            id=secrets.token_hex(16),
            job=job.id,
            number=page,
            created=time.time(),
            width=sheet.width,
            height=sheet.height,
            seed=spec.seed,
            prompt=spec.prompt,
            base=job.items[0].base,
            document={"grid": job.detail},
            infotext="",
            bytes=len(png),
            kind="grid",
            spec=None,
        )
        self._store.add_picture(row, png, jpeg_bytes(sheet, THUMBNAIL))
        return row.id
