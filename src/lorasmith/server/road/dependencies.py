"""What the road's routes ask of the application and of the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Path, Request

from lorasmith.project import Project
from lorasmith.server.errors import MissingError
from lorasmith.server.road.readings import Readings
from lorasmith.server.road.tasks import RoadTasks
from lorasmith.server.service import Service
from lorasmith.server.uploads import Uploads
from lorasmith.server.workshop import Workshop

ProjectName = Annotated[str, Path(min_length=1, max_length=200, description="A project's name.")]


def workshop_of(request: Request) -> Workshop:
    """The application's workshop. Raises MissingError under a server that has none."""
    workshop: Workshop | None = getattr(request.app.state, "workshop", None)
    if workshop is None:
        raise MissingError("this server has no projects.", hint="Start the studio to work on projects in the browser.")
    return workshop


TheWorkshop = Annotated[Workshop, Depends(workshop_of)]


def project_of(project: ProjectName, workshop: TheWorkshop) -> Project:
    """The project that the request names."""
    return workshop.open(project)


def tasks_of(request: Request) -> RoadTasks:
    """The application's tasks."""
    tasks: RoadTasks = request.app.state.tasks
    return tasks


def closing_of(request: Request) -> Callable[[], bool]:
    """Whether the server is being stopped: streams without an end of their own end then."""
    service: Service = request.app.state.service
    return lambda: service.board.closing


IsClosing = Annotated[Callable[[], bool], Depends(closing_of)]


def readings_of(request: Request) -> Readings:
    """What was read of projects last."""
    readings: Readings = request.app.state.readings
    return readings


def uploads_of(request: Request, workshop: TheWorkshop) -> Uploads:
    """The uploads that wait beside the projects."""
    service: Service = request.app.state.service
    return Uploads(workshop.projects, service.settings.limits)


TheReadings = Annotated[Readings, Depends(readings_of)]
TheUploads = Annotated[Uploads, Depends(uploads_of)]
TheTasks = Annotated[RoadTasks, Depends(tasks_of)]
TheProject = Annotated[Project, Depends(project_of)]
