"""All routes of our API."""

from __future__ import annotations

from fastapi import FastAPI

from lorasmith.server.native import choices, jobs, pictures, prompts
from lorasmith.server.native.errors import WRONG


def add_routes(app: FastAPI) -> None:
    """Give an application these routes."""
    for part in (choices, jobs, pictures, prompts):
        app.include_router(part.router, prefix="/api/v1", responses=WRONG)
