"""Exams, comparisons and choices: what is asked and what is told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lorasmith.server.native.schemas import Told
from lorasmith.server.native.spec_models import Asked


class ExamRequest(Asked):
    """An exam of the newest run, or of these adapter files; one of the same that was stopped goes on."""

    quick: bool = False
    pictures: int | None = Field(default=None, ge=8, le=100_000)
    strength: float | None = Field(default=None, gt=0, le=4)
    snapshots: list[str] = Field(default_factory=list, max_length=64)


class ProcessAnswer(Told):
    """How a process of its own stands; `last` is its last event of progress."""

    state: Literal["none", "running", "done", "failed", "stopped"]
    arguments: list[str]
    process: int | None
    began: float | None
    last: dict[str, Any] | None
    message: str


class ExamHead(Told):
    """An exam in the list; `verdict` is null while it is not finished."""

    id: str
    finished: bool
    verdict: str | None
    hit_rate: dict[str, Any] | None
    chosen: str | None
    made: float


class AdapterFile(Told):
    """An adapter file of the project that can be examined, compared, chosen."""

    path: str
    name: str
    run: str


class ExamsAnswer(Told):
    """The newest first, the exam under way, the adapters, and the one that a person chose."""

    exams: list[ExamHead]
    process: ProcessAnswer
    adapters: list[AdapterFile]
    chosen: str | None


class ExamAnswer(Told):
    """An exam: its document as `lorasmith exam --json` tells it, its pictures with what was judged, its sheets."""

    id: str
    figures: dict[str, Any] | None
    answers: list[dict[str, Any]]
    sheets: list[str]
    report: bool
    words: dict[str, list[str]]


class ChooseRequest(Asked):
    """The adapter file to use."""

    adapter: str = Field(max_length=4000)


class ChosenAnswer(Told):
    """The adapter that is to be used."""

    chosen: str


class CompareRequest(Asked):
    """Two adapter files of the project, and how many pairs."""

    adapters: tuple[str, str]
    pairs: int = Field(default=20, ge=1, le=200)
    strength: float = Field(default=1.0, gt=0, le=4)


class ComparisonsAnswer(Told):
    """The newest first, and the drawing under way."""

    comparisons: list[dict[str, Any]]
    process: ProcessAnswer


class AnswerRequest(Asked):
    """Which picture of a pair is better."""

    pair: int = Field(ge=0, le=500)
    side: Literal["left", "right", "same"]
