"""All routes of the road."""

from __future__ import annotations

from fastapi import FastAPI

from lorasmith.server.native.errors import WRONG
from lorasmith.server.road import (
    captions,
    cards,
    drawing,
    events,
    exams,
    help,
    images,
    library,
    projects,
    recipe,
    rounds,
    runs,
)


def add_routes(app: FastAPI) -> None:
    """Give an application these routes."""
    for part in (drawing, events, projects, images, captions, recipe, runs, exams, rounds, cards, library, help):
        app.include_router(part.router, prefix="/api/v1", responses=WRONG)
