"""All routes of the road."""

from __future__ import annotations

from fastapi import APIRouter

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
    runs,
)

router = APIRouter(prefix="/api/v1", responses=WRONG)
for _part in (drawing, events, projects, images, captions, recipe, runs, exams, cards, library, help):
    router.include_router(_part.router)
