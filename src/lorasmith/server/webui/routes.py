"""All routes of that API."""

from __future__ import annotations

from fastapi import FastAPI

from lorasmith.server.webui import drawing, lists, pictures


def add_routes(app: FastAPI) -> None:
    """Give an application these routes."""
    for part in (drawing, lists, pictures):
        app.include_router(part.router, prefix="/sdapi/v1", tags=["web UI clients"])
