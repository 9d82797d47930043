"""Exams: held in a process of its own, shown with their pictures; blind comparisons by a person; the choice."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse

from lorasmith.adapters.runs import run_adapters
from lorasmith.exam.blind import Comparison, comparisons
from lorasmith.exam.chosen import choose_adapter, chosen_adapter
from lorasmith.exam.history import exam_folders, read_answers, read_figures
from lorasmith.exam.report import WORDS
from lorasmith.jobs.detached import DetachedCommand
from lorasmith.project import Project
from lorasmith.remedies import read_parts
from lorasmith.server.errors import FieldError, MissingError
from lorasmith.server.native.errors import MISSING
from lorasmith.server.road.dependencies import ProjectName, TheProject, TheWorkshop
from lorasmith.server.road.schemas import exams as schemas
from lorasmith.training.runs.history import run_folders, variant_folders

router = APIRouter(prefix="/projects/{project}", tags=["exams"], responses=MISSING)
ExamName = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^/\\.][^/\\]*$", description="Its folder.")]
FileName = Annotated[str, Path(max_length=200, pattern=r"^[^/\\.][^/\\]*$")]
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
_KINDS = {".png": "image/png", ".webp": "image/webp"}
_CACHED = {"cache-control": "private, max-age=86400"}


@router.get("/exams", response_model=schemas.ExamsAnswer)
def get_exams(opened: TheProject) -> dict[str, Any]:
    """All exams of a project, and how the one under way stands."""
    chosen = chosen_adapter(opened)
    return {
        "exams": [_head(folder) for folder in exam_folders(opened)],
        "process": _exam(opened).state().as_json(),
        "adapters": _adapters(opened),
        "chosen": None if chosen is None else str(chosen),
    }


@router.post("/exams", response_model=schemas.ProcessAnswer, status_code=202)
def post_exam(project: ProjectName, body: schemas.ExamRequest, workshop: TheWorkshop) -> dict[str, Any]:
    """Hold an exam, or go on with it where it was stopped. It runs in a process of its own: this server may end
    meanwhile. 409 while one is held."""
    with workshop.lock(project):
        opened = workshop.open(project)
        arguments = ["exam", str(opened.root), "--events"]
        arguments += ["--quick"] if body.quick else []
        arguments += ["--pictures", str(body.pictures)] if body.pictures is not None else []
        arguments += ["--strength", str(body.strength)] if body.strength is not None else []
        for file in body.snapshots:
            arguments += ["--snapshots", str(_own(opened, file, "snapshots"))]
        return _exam(opened).start(arguments).as_json()


@router.post("/exams/stop", response_model=schemas.ProcessAnswer)
def post_stop(opened: TheProject) -> dict[str, Any]:
    """Stop the exam under way; what it has drawn stays."""
    return _exam(opened).stop().as_json()


@router.post("/exams/choose", response_model=schemas.ChosenAnswer)
def post_choose(project: ProjectName, body: schemas.ChooseRequest, workshop: TheWorkshop) -> dict[str, Any]:
    """Say which adapter is to be used, whatever the exam chose; cards are then of it."""
    with workshop.lock(project):
        opened = workshop.open(project)
        return {"chosen": str(choose_adapter(opened, _own(opened, body.adapter, "adapter")))}


@router.get("/exams/{exam}", response_model=schemas.ExamAnswer)
def get_exam(exam: ExamName, opened: TheProject) -> dict[str, Any]:
    """An exam's figures, pictures and words."""
    folder = _folder(opened, exam)
    sheets = sorted(file.name for file in (folder / "answers").glob("*.png"))
    return {
        "id": exam,
        "figures": _worded(read_figures(folder)),
        "answers": read_answers(folder),
        "sheets": sheets,
        "report": (folder / "report.html").is_file(),
        "words": {name: list(words) for name, words in WORDS.items()},
    }


@router.get("/exams/{exam}/report", response_class=Response)
def get_report(exam: ExamName, opened: TheProject) -> Response:
    """The report as one page, which needs nothing else."""
    file = _folder(opened, exam) / "report.html"
    if not file.is_file():
        raise MissingError("this exam has no report yet.", where="exam")
    return FileResponse(file, media_type="text/html", headers={"content-security-policy": _REPORT_POLICY})


@router.get("/exams/{exam}/pictures/{file}", response_class=FileResponse)
def get_picture(exam: ExamName, file: FileName, opened: TheProject) -> Response:
    """A picture of an exam, or a sheet of them; `grid.png` is the grid of snapshots by strengths."""
    folder = _folder(opened, exam)
    place = folder / file if file == "grid.png" else folder / "answers" / file
    if place.suffix not in _KINDS or not place.is_file():
        raise MissingError(f'there is no picture "{file}".', where="file")
    return FileResponse(place, media_type=_KINDS[place.suffix], headers=_CACHED)


@router.get("/comparisons", response_model=schemas.ComparisonsAnswer)
def get_comparisons(opened: TheProject) -> dict[str, Any]:
    """All blind comparisons. Which is which is told once every pair is answered."""
    return {
        "comparisons": [found.as_json() for found in comparisons(opened)],
        "process": _drawing(opened).state().as_json(),
    }


@router.post("/comparisons", response_model=schemas.ProcessAnswer, status_code=202)
def post_comparison(project: ProjectName, body: schemas.CompareRequest, workshop: TheWorkshop) -> dict[str, Any]:
    """Draw the pairs of a comparison, in a process of its own; they can be answered as they come."""
    with workshop.lock(project):
        opened = workshop.open(project)
        one, other = (str(_own(opened, file, "adapters")) for file in body.adapters)
        if one == other:
            raise FieldError("these are the same file.", where="adapters", hint="Name two.")
        arguments = ["compare", str(opened.root), one, other, "--events"]
        arguments += ["--pairs", str(body.pairs), "--strength", str(body.strength)]
        return _drawing(opened).start(arguments).as_json()


@router.post("/comparisons/{exam}/answers")
def post_answer(exam: ExamName, body: schemas.AnswerRequest, opened: TheProject) -> dict[str, Any]:
    """Keep which picture of a pair is better; the last answer to a pair counts."""
    found = _comparison(opened, exam)
    if body.pair >= found.drawn:
        raise MissingError(f"pair {body.pair} is not drawn.", where="pair")
    found.answer(body.pair, body.side)
    return found.as_json()


@router.get("/comparisons/{exam}/pictures/{number}/{side}", response_class=FileResponse)
def get_pair(
    exam: ExamName,
    number: Annotated[int, Path(ge=0, le=500)],
    side: Annotated[str, Path(pattern="^(left|right)$")],
    opened: TheProject,
) -> Response:
    """The picture of a pair on one side."""
    place = _comparison(opened, exam).picture(number, side)
    if not place.is_file():
        raise MissingError(f"pair {number} is not drawn.", where="number")
    return FileResponse(place, media_type="image/png", headers=_CACHED)


def _exam(project: Project) -> DetachedCommand:
    return DetachedCommand(project.cache / "page" / "exam")


def _drawing(project: Project) -> DetachedCommand:
    return DetachedCommand(project.cache / "page" / "comparison")


def _comparison(project: Project, name: str) -> Comparison:
    for found in comparisons(project):
        if found.folder.name == name:
            return found
    raise MissingError(f'there is no comparison "{name}".', where="exam")


def _folder(project: Project, name: str) -> FilePath:
    for folder in exam_folders(project):
        if folder.name == name:
            return folder
    raise MissingError(f'there is no exam "{name}".', where="exam")


def _worded(document: dict[str, Any] | None) -> dict[str, Any] | None:
    """An exam's document with its advice in the words of this face; one of before keeps its own."""
    if document is None or "advice_parts" not in document:
        return document
    try:
        return document | {"advice": [str(read_parts(parts)) for parts in document["advice_parts"]]}
    except (ValueError, TypeError):  # of a newer Lorasmith
        return document


def _head(folder: FilePath) -> dict[str, Any]:
    document = read_figures(folder)
    known = document or {}
    return {
        "id": folder.name,
        "finished": document is not None,
        "verdict": known.get("verdict"),
        "hit_rate": known.get("figures", {}).get("hit_rate"),
        "chosen": known.get("chosen"),
        "made": folder.stat().st_mtime,
    }


def _adapters(project: Project) -> list[dict[str, Any]]:
    found = []
    for run in run_folders(project):
        for folder in variant_folders(run).values():
            for file in reversed(run_adapters(folder)):
                found.append({"path": str(file), "name": file.name, "run": run.name})
    made = sorted(project.exams.glob("*/*.safetensors"), reverse=True)
    return found + [{"path": str(file), "name": file.name, "run": file.parent.name} for file in made]


def _own(project: Project, file: str, field: str) -> FilePath:
    """An adapter file of the project, by its path. Raises FieldError."""
    try:
        place = (project.root / file).resolve()
    except (OSError, RuntimeError, ValueError):  # a NUL in it, links that go round
        raise FieldError("cannot be a path.", where=field) from None
    inside = place.is_relative_to(project.runs) or place.is_relative_to(project.exams)
    if not inside or place.suffix != ".safetensors":
        raise FieldError(f"{file}: is no adapter of this project.", where=field, hint="Name one of its runs.")
    if not place.is_file():
        raise FieldError(f"{file}: no such adapter file.", where=field)
    return place
