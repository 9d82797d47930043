"""What that tool answers beside its API: its page's own questions, which some clients ask, too.

Source: the A1111 web UI, modules/progress.py, modules/ui_extra_networks.py (fetch_file), webui.py (ping).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel

from lorasmith.server.dependencies import TheService
from lorasmith.server.encoding import jpeg_url
from lorasmith.server.errors import MissingError
from lorasmith.server.service import Service
from lorasmith.server.states import FINAL

router = APIRouter(tags=["web UI clients"])
PREVIEWS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".jxl")


class Task(BaseModel):
    """Whose progress to tell: the `force_task_id` of a request."""

    id_task: str | None = None
    id_live_preview: int = -1
    live_preview: bool = True


@router.get("/internal/ping")
def ping() -> dict[str, Any]:
    """That the server is there."""
    return {}


@router.get("/login_check")
def check_login() -> None:
    """That the client is let in: who is not, does not come as far as this."""


@router.post("/internal/progress")
async def get_progress(task: Task, service: TheService) -> dict[str, Any]:
    """How far a request is that gave itself a name; nothing is known of others."""
    known = service.tasks.find(task.id_task or "")
    with service.board.lock:
        job = None if known is None else service.board.live.get(known)
        waits = job is not None and job.state == "queued"
        active = job is not None and job.state == "running"
        share = None if job is None or not active else job.progress
        item = next((each for each in job.items if each.state == "running"), None) if job is not None else None
        step, steps = (0, 0) if item is None else (item.step, item.steps)
        preview = None if item is None or not task.live_preview else item.preview
        completed = known is not None and (job is None or job.state in FINAL)
    if active and task.live_preview:
        service.board.ask_for_previews()
    shown = preview is not None and step != task.id_live_preview
    assert not shown or preview is not None
    return {
        "active": active,
        "queued": waits,
        "completed": completed,
        "progress": share,
        "eta": None,
        "live_preview": await run_in_threadpool(jpeg_url, preview) if shown and preview is not None else None,
        "id_live_preview": step if shown else task.id_live_preview,
        "textinfo": "Waiting..." if known is None else "In queue..." if waits else f"{step}/{steps}" if active else "",
    }


@router.get("/sd_extra_networks/thumb", response_class=FileResponse)
def get_thumbnail(service: TheService, filename: str = "") -> FileResponse:
    """A picture beside an adapter: of the path that `/sdapi/v1/loras` gives (or of its name), or the picture's own."""
    found = _find_picture(service, filename)
    if found is None:
        raise MissingError("File not found")
    return FileResponse(found, headers={"accept-ranges": "bytes"})


@router.get("/sd_extra_networks/metadata")
def get_metadata(service: TheService, page: str = "", item: str = "") -> dict[str, str]:
    """What an adapter's header says, as JSON in a text (A1111, `modules/ui_extra_networks.py`, `get_metadata`: page
    "lora", the item's name); nothing for any other page or item."""
    found = [entry for entry in service.catalogue.entries() if item in (entry.name, entry.alias)]
    if page.lower() != "lora" or not found or not found[0].metadata:
        return {}
    return {"metadata": json.dumps(dict(found[0].metadata), indent=4, ensure_ascii=False)}


def _find_picture(service: Service, filename: str) -> Path | None:
    for folder in service.catalogue.folders:
        root = (folder.parent if folder.is_file() else folder).resolve()
        for file in _candidates(root, filename):
            try:
                whole = file.resolve()
                if whole.is_relative_to(root) and whole.suffix.lower() in PREVIEWS and whole.is_file():
                    return whole
            except (OSError, ValueError):  # no name of a file
                continue
    return None


def _candidates(root: Path, filename: str) -> list[Path]:
    if not filename or "\0" in filename:
        return []
    asked = root / filename
    stem = asked.with_suffix("") if asked.suffix == ".safetensors" else asked
    return [asked, *(stem.with_name(f"{stem.name}{mark}{end}") for mark in (".preview", "") for end in PREVIEWS)]
