"""Projects: what there is, new ones out of what is dropped on the page, of paths or of shipped examples."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from lorasmith.dataset.adding import add_images
from lorasmith.dataset.create import create_project
from lorasmith.dataset.ingest import Ingested
from lorasmith.errors import DatasetError, LorasmithError, StorageError
from lorasmith.events import Work
from lorasmith.examples import EXAMPLES, copy_example
from lorasmith.face.overview import count_images, describe_project, keep_counts, read_counts
from lorasmith.project import SubjectKind, check_folder_name, safe_name
from lorasmith.server.errors import FieldError, error_json
from lorasmith.server.native.errors import MISSING
from lorasmith.server.road.dependencies import ProjectName, TheReadings, TheTasks, TheUploads, TheWorkshop
from lorasmith.server.road.readings import Readings
from lorasmith.server.road.schemas import projects as schemas
from lorasmith.server.road.schemas.tasks import TaskAnswer
from lorasmith.server.service import Service
from lorasmith.server.uploads import Uploads
from lorasmith.server.workshop import Workshop

router = APIRouter(tags=["projects"], responses=MISSING)
UploadName = Annotated[str, Path(min_length=32, max_length=32, description="What beginning an upload gave.")]


@router.get("/projects", response_model=schemas.ProjectsAnswer)
def get_projects(workshop: TheWorkshop, readings: TheReadings, request: Request) -> dict[str, Any]:
    """All projects as cards show them, and what a new one can be made of."""
    service: Service = request.app.state.service
    limits, names = service.settings.limits, workshop.names()
    return {
        "projects": [_describe(workshop, readings, name) for name in names],
        "examples": [name for name in EXAMPLES if name not in names],
        "subjects": [kind.value for kind in SubjectKind],
        "folder": str(workshop.projects),
        "roots": [str(root) for root in (workshop.projects, *workshop.roots)],
        "limits": {"file": limits.upload_bytes, "files": limits.upload_files, "total": limits.upload_total},
    }


@router.get("/projects/{project}", response_model=schemas.ProjectAnswer)
def get_project(project: ProjectName, workshop: TheWorkshop, readings: TheReadings) -> dict[str, Any]:
    """One project in figures."""
    workshop.open(project)
    return _describe(workshop, readings, project)


@router.post("/projects", response_model=TaskAnswer, status_code=202)
def post_project(
    body: schemas.NewProject, workshop: TheWorkshop, tasks: TheTasks, uploads: TheUploads
) -> dict[str, Any]:
    """Make a project, as a task: whole or not at all. What the images lack does not stop it; unreadable files are
    left out and named."""
    if body.name != safe_name(body.name):
        hint = f"Use letters, digits, dots, dashes and underscores, such as {safe_name(body.name)}."
        raise FieldError(f'"{body.name}" cannot be a folder\'s name.', where="name", hint=hint)
    check_folder_name(body.name)
    folder = workshop.projects / body.name
    if folder.exists():
        raise FieldError(f'there is a folder "{body.name}" already.', where="name", hint="Choose another name.")
    if body.example is not None:
        name = body.example
        if name not in EXAMPLES:
            raise FieldError(f"{name}: no such example.", where="example", hint=f"There are: {', '.join(EXAMPLES)}.")

        def copy() -> Work[dict[str, Any]]:
            yield from ()
            copy_example(name, folder)
            return {"project": folder.name, "images": 0, "captions": 0, "left_out": []}

        return tasks.start("", f"new {body.name}", copy).as_json()
    sources = _sources(workshop, uploads, body.upload, body.paths)

    def make() -> Work[dict[str, Any]]:
        work = create_project(folder, subject=body.subject, name=None, trigger=body.trigger, sources=sources)
        try:
            created = yield from work
        except LorasmithError:
            _remove_empty(folder)
            raise
        if body.upload is not None:
            uploads.drop(body.upload)
        return {"project": folder.name} | _came(created.ingested)

    return tasks.start("", f"new {body.name}", make).as_json()


@router.post("/projects/{project}/images", response_model=TaskAnswer, status_code=202)
def post_images(
    project: ProjectName, body: schemas.MoreImages, workshop: TheWorkshop, tasks: TheTasks, uploads: TheUploads
) -> dict[str, Any]:
    """Add images to a project, as a task. Those that it has already are left out and named."""
    workshop.open(project)
    sources = _sources(workshop, uploads, body.upload, body.paths)

    def add() -> Work[dict[str, Any]]:
        with workshop.lock(project):
            ingested = yield from add_images(workshop.open(project), sources, into=body.into)
        if body.upload is not None:
            uploads.drop(body.upload)
        return {"project": project} | _came(ingested)

    return tasks.start(project, "add", add).as_json()


@router.post("/uploads", response_model=schemas.UploadAnswer, status_code=201)
def post_upload(workshop: TheWorkshop, uploads: TheUploads) -> dict[str, Any]:
    """Begin an upload: files are sent to it one by one, then a project takes it."""
    del workshop
    return {"id": uploads.begin(), "files": {}}


@router.get("/uploads/{upload}", response_model=schemas.UploadAnswer)
def get_upload(upload: UploadName, uploads: TheUploads) -> dict[str, Any]:
    """What has come whole, so that an interrupted upload goes on where it was."""
    return {"id": upload, "files": uploads.files(upload)}


@router.put("/uploads/{upload}/files/{path:path}", status_code=201)
async def put_file(upload: UploadName, path: str, request: Request, uploads: TheUploads) -> dict[str, Any]:
    """Send a file, which is the request's body; `path` is where it lay in what was dropped."""
    return {"path": path, "bytes": await uploads.receive(upload, path, request.stream())}


@router.delete("/uploads/{upload}", status_code=204)
def delete_upload(upload: UploadName, uploads: TheUploads) -> None:
    """Give an upload up."""
    uploads.drop(upload)


def _describe(workshop: Workshop, readings: Readings, name: str) -> dict[str, Any]:
    try:
        opened, version = workshop.open(name), workshop.images_version(name)
        counts = read_counts(opened, version)
        if counts is None:
            counts = _count(workshop, readings, name)
            with suppress(StorageError):  # a full disk; it is counted again next time
                keep_counts(opened, version, counts)
        return describe_project(opened, counts)
    except LorasmithError as error:
        return {"name": name, "fault": error_json(error)}


def _count(workshop: Workshop, readings: Readings, name: str) -> dict[str, Any]:
    try:
        return count_images(readings.of(workshop, name).dataset)
    except DatasetError:  # no images yet, or none that can be read: the images' screen says which
        return count_images(None)


def _sources(workshop: Workshop, uploads: Uploads, upload: str | None, paths: Sequence[str]) -> list[FilePath]:
    """The files to take. Raises FieldError, MissingError."""
    found = [workshop.allowed(path, "paths") for path in paths]
    for path in found:
        if not path.exists():
            raise FieldError(f"{path}: there is no such file or folder.", where="paths", hint="Look at its spelling.")
    return [*(uploads.sources(upload) if upload is not None else []), *found]


def _came(ingested: Ingested) -> dict[str, Any]:
    return {
        "images": ingested.images,
        "captions": ingested.captions,
        "left_out": [{"name": one.name, "message": one.message} for one in ingested.left_out],
    }


def _remove_empty(folder: FilePath) -> None:
    """Take a folder away again in which nothing came to lie."""
    if folder.is_dir() and not any(file for file in folder.rglob("*") if file.is_file()):
        shutil.rmtree(folder, ignore_errors=True)
