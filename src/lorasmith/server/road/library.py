"""The library as requests: pages and facets, notes, duplicates, newer versions, files from hubs, scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from lorasmith.events import Work
from lorasmith.library.entry import ORDERS, Filters, LibraryEntry
from lorasmith.library.hubs.hub import Question
from lorasmith.library.hubs.installing import install
from lorasmith.library.hubs.looking import hub_called, look_through
from lorasmith.library.hubs.newer import look_for_newer
from lorasmith.library.hubs.references import read_reference
from lorasmith.library.index import LibraryIndex
from lorasmith.server.errors import FieldError, MissingError
from lorasmith.server.native.choices import PICTURES
from lorasmith.server.native.errors import MISSING
from lorasmith.server.road.dependencies import TheTasks, TheWorkshop
from lorasmith.server.road.schemas import library as schemas
from lorasmith.server.road.schemas.tasks import TaskAnswer
from lorasmith.server.road.tasks import RoadTask

router = APIRouter(prefix="/library", tags=["library"], responses=MISSING)
Word = Annotated[str, Query(max_length=200)]


@router.get("", response_model=schemas.LibraryPage)
def get_library(
    workshop: TheWorkshop,
    words: Word = "",
    kind: Word = "adapter",
    family: Word = "",
    algorithm: Word = "",
    source: Word = "",
    collection: Word = "",
    rating: Annotated[int, Query(ge=0, le=5)] = 0,
    favourite: bool = False,
    mine: bool = False,
    order: Annotated[str | None, Query(max_length=20)] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 60,
) -> dict[str, Any]:
    """A page of the library, and how many files each facet has."""
    del workshop
    if order is not None and order not in ORDERS:
        raise FieldError(f"{order}: no such order.", where="order", hint=f"Known: {', '.join(ORDERS)}.")
    library = LibraryIndex.existing()
    if library is None:
        empty: dict[str, Any] = {"total": 0, "more": False, "refused": 0, "entries": [], "facets": {}, "folders": []}
        return {"exists": False, **empty}
    filters = Filters(
        words=words,
        kind="" if kind == "any" else kind,
        family=family,
        algorithm=algorithm,
        source=source,
        collection=collection,
        rating=rating,
        favourite=favourite,
        mine=mine,
    )
    with library:
        page = library.entries(filters, offset, limit, order)
        return {
            "exists": True,
            "total": page.total,
            "more": page.more,
            "refused": page.refused,
            "entries": [_entry(entry) for entry in page.entries],
            "facets": library.facets(),
            "folders": [str(folder) for folder in library.folders()],
        }


@router.get("/preview", response_class=FileResponse)
def get_preview(path: Annotated[str, Query(max_length=4000)], workshop: TheWorkshop) -> Response:
    """The preview of a file of the library."""
    del workshop
    preview = _find(path).preview
    if preview is None or preview.suffix.lower() not in PICTURES or not preview.is_file():
        raise MissingError("there is no preview.", where="path")
    return FileResponse(
        preview, media_type=PICTURES[preview.suffix.lower()], headers={"cache-control": "private, max-age=300"}
    )


@router.post("/notes")
def post_notes(body: schemas.NoteRequest, workshop: TheWorkshop) -> dict[str, Any]:
    """Keep notes, a rating, a favourite; the entry as it is then."""
    del workshop
    with _open() as library:
        entry = _find(body.path, library)
        library.note([entry], notes=body.notes, rating=body.rating, favourite=body.favourite)
        return _entry(_find(body.path, library))


@router.get("/duplicates", response_model=schemas.DuplicatesAnswer)
def get_duplicates(workshop: TheWorkshop) -> dict[str, Any]:
    """Files that are there more than once. Nothing is deleted."""
    del workshop
    with _open() as library:
        same, alike = library.duplicates()
        groups = {"same": same, "same_weights": alike}
        told = {name: [[_entry(entry) for entry in group] for group in found] for name, found in groups.items()}
        return told | {"unhashed": library.unhashed()}


@router.post("/scan", response_model=TaskAnswer, status_code=202)
def post_scan(body: schemas.ScanRequest, workshop: TheWorkshop, tasks: TheTasks) -> dict[str, Any]:
    """Look through the library's folders, and through these from now on, too."""
    folders = [workshop.allowed(folder, "folders") for folder in body.folders]

    def work() -> Work[dict[str, Any]]:
        with LibraryIndex.open() as library:
            for folder in folders:
                library.add_folder(folder)
            report = yield from library.scan()
            return report.as_json()

    return _told(tasks.start("", "scan", work))


@router.post("/updates", response_model=TaskAnswer, status_code=202)
def post_updates(workshop: TheWorkshop, tasks: TheTasks) -> dict[str, Any]:
    """Ask the hubs for newer versions of what came from them. Nothing is fetched."""
    del workshop

    def work() -> Work[dict[str, Any]]:
        with _open() as library:
            return (yield from look_for_newer(library)).as_json()

    return _told(tasks.start("", "updates", work))


@router.post("/get", response_model=TaskAnswer, status_code=202)
def post_get(body: schemas.GetRequest, workshop: TheWorkshop, tasks: TheTasks) -> dict[str, Any]:
    """Fetch an adapter from a hub by the address of its page; what broke off goes on with the same request."""
    reference = read_reference(body.reference)
    with LibraryIndex.open() as library:
        known = library.folders()
    into = None if body.into is None else Path(body.into)
    if into is not None and into not in known:
        into = workshop.allowed(body.into or "", "into")
    if into is None and not known:
        into = workshop.projects / "adapters"
        into.mkdir(parents=True, exist_ok=True)

    def work() -> Work[dict[str, Any]]:
        with LibraryIndex.open() as library:
            if into is not None:
                library.add_folder(into)
            installed = yield from install(library, reference, into or known[0], mature=body.mature)
            return installed.as_json()

    return _told(tasks.start("", "get", work))


@router.get("/hub")
def search_hub(
    workshop: TheWorkshop,
    hub: Annotated[str, Query(max_length=20)],
    words: Word = "",
    base: Word = "",
    after: Annotated[str, Query(max_length=2000)] = "",
    mature: bool = False,
) -> dict[str, Any]:
    """A page of what a hub has."""
    from lorasmith.events import finish

    del workshop
    with hub_called(hub) as opened:
        return finish(look_through(opened, Question(words, base, "", 20, mature, after))).as_json()


def _open() -> LibraryIndex:
    library = LibraryIndex.existing()
    if library is None:
        raise MissingError("there is no library yet.", hint="Look through a folder first.")
    return library


def _find(path: str, library: LibraryIndex | None = None) -> LibraryEntry:
    """The entry of a path. Raises MissingError."""
    if library is None:
        with _open() as opened:
            return _find(path, opened)
    entry = library.entry(Path(path))
    if entry is None:
        raise MissingError(f"{path}: is not in the library.", where="path")
    return entry


def _entry(entry: LibraryEntry) -> dict[str, Any]:
    return entry.as_json() | {"has_preview": entry.preview is not None}


def _told(task: RoadTask) -> dict[str, Any]:
    return task.as_json()
