"""What the server is and has: its state, adapters, bases, and what pictures can be asked for with."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from lorasmith import __version__
from lorasmith.adapters.recommendation import Recommendation
from lorasmith.diffusion.samplers import SAMPLERS
from lorasmith.diffusion.sigmas import SCHEDULE_NAMES
from lorasmith.generation.defaults import default_of, unset_of
from lorasmith.generation.spec import PARAMETERS, UPSCALERS
from lorasmith.library.sidecars.beside import preview_name
from lorasmith.server.dependencies import TheService
from lorasmith.server.errors import MissingError
from lorasmith.server.native import schemas
from lorasmith.server.native.errors import MISSING

router = APIRouter()
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
"""The kinds of previews that are shown."""


@router.get("/status", response_model=schemas.StatusAnswer, tags=["server"])
def get_status(service: TheService) -> dict[str, Any]:
    """The server at a glance: queue, base, limits."""
    return {"version": __version__, **service.status()}


@router.get("/adapters", response_model=schemas.AdaptersAnswer, tags=["choices"])
def get_adapters(service: TheService) -> dict[str, Any]:
    """The adapters that prompts can call. New files are seen at once."""
    previews = _previews(entry.path for entry in service.catalogue.entries())
    return {
        "adapters": [
            {
                "name": entry.name,
                "alias": entry.alias,
                "file": entry.file,
                "bytes": entry.bytes,
                "trigger": entry.trigger,
                "rank": entry.rank,
                "base": entry.metadata.get("ss_sd_model_name", ""),
                "problem": entry.problem,
                "strength": recommended.strength if (recommended := Recommendation.read(entry.metadata)) else None,
                "has_preview": entry.path in previews,
            }
            for entry in service.catalogue.entries()
        ]
    }


@router.get(
    "/adapters/preview",
    response_class=FileResponse,
    responses={200: {"content": {kind: {} for kind in PICTURES.values()}}, **MISSING},
    tags=["choices"],
)
def get_preview(service: TheService, name: Annotated[str, Query(max_length=200)]) -> FileResponse:
    """The picture that lies beside an adapter."""
    path = next((entry.path for entry in service.catalogue.entries() if entry.name == name), None)
    preview = None if path is None else _previews([path]).get(path)
    if preview is None:
        raise MissingError("there is no preview.", where="name")
    kind = PICTURES[preview.suffix.lower()]
    return FileResponse(preview, media_type=kind, headers={"cache-control": "private, max-age=300"})


def _previews(files: Iterable[Path]) -> dict[Path, Path]:
    """The pictures beside adapters, by the adapter; each folder is looked through once."""
    folders: dict[Path, frozenset[str]] = {}
    found: dict[Path, Path] = {}
    for file in files:
        if file.parent not in folders:
            folders[file.parent] = frozenset()
            with suppress(OSError):
                folders[file.parent] = frozenset(os.listdir(file.parent))
        name = preview_name(file.stem, folders[file.parent])
        if name is not None and Path(name).suffix.lower() in PICTURES:
            found[file] = file.with_name(name)
    return found


@router.get("/bases", response_model=schemas.BasesAnswer, tags=["choices"])
def get_bases(service: TheService) -> dict[str, Any]:
    """The bases that can be drawn with."""
    default = service.default_base().name
    return {
        "bases": [
            {
                "name": entry.name,
                "is_loaded": entry.name == service.worker.base,
                "is_default": entry.name == default,
                "hash": service.worker.hashes.get(entry.name),
            }
            for entry in service.bases
        ]
    }


@router.get("/choices", response_model=schemas.ChoicesAnswer, tags=["choices"])
def get_choices() -> dict[str, list[str]]:
    """The samplers, noise schedules and upscalers that requests can name."""
    return {"samplers": list(SAMPLERS), "schedules": list(SCHEDULE_NAMES), "upscalers": list(UPSCALERS)}


@router.get("/form", response_model=schemas.FormAnswer, tags=["choices"])
def get_form() -> dict[str, Any]:
    """The fields of a picture with their ranges and defaults, for whoever shows a form."""
    return {
        "fields": [
            {
                "name": known.name,
                "kind": known.kind,
                "label": known.label,
                "help": known.help,
                "default": default_of(known.name, "native"),
                "unset": unset_of(known.name, "native"),
                "least": known.least,
                "most": known.most,
                "step": known.step,
                "choices": list(known.choices),
            }
            for known in PARAMETERS.values()
        ]
    }
