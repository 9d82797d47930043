"""Projects, and what comes into them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from lorasmith.project import SubjectKind
from lorasmith.server.native.schemas import Told
from lorasmith.server.native.spec_models import Asked

Named = Annotated[str, Field(min_length=1, max_length=100)]
Place = Annotated[str, Field(min_length=1, max_length=2000)]


class ProjectAnswer(Told):
    """A project in figures; `fault` says why its other fields are empty."""

    name: str
    adapter: str = ""
    trigger: str = ""
    subject: str = ""
    base: str = ""
    images: int = 0
    rejected: int = 0
    captions: int = 0
    problems: int = 0
    runs: int = 0
    exam: dict[str, Any] | None = None
    pictures: list[str] = Field(default_factory=list)
    changed: float = 0.0
    fault: dict[str, Any] | None = None


class ProjectsAnswer(Told):
    """All projects, the shipped examples that are not among them, and from where images can be taken."""

    projects: list[ProjectAnswer]
    examples: list[str]
    subjects: list[str]
    folder: str
    roots: list[str]
    limits: dict[str, int]


class NewProject(Asked):
    """A project out of an upload, of paths of the server's machine, or of a shipped example; `name` is its folder."""

    name: Named
    subject: SubjectKind = SubjectKind.CHARACTER
    trigger: str | None = Field(None, max_length=200)
    upload: str | None = Field(None, max_length=32)
    paths: list[Place] = Field(default_factory=list, max_length=20)
    example: str | None = Field(None, max_length=40)


class MoreImages(Asked):
    """Images for a project that is there; `into` is a folder inside its images."""

    upload: str | None = Field(None, max_length=32)
    paths: list[Place] = Field(default_factory=list, max_length=20)
    into: str = Field("", max_length=200)


class UploadAnswer(Told):
    """An upload: the bytes of each file that has come whole."""

    id: str
    files: dict[str, int]
