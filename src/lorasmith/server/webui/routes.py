"""All routes of that API."""

from __future__ import annotations

from fastapi import APIRouter

from lorasmith.server.webui import drawing, lists, pictures

router = APIRouter(prefix="/sdapi/v1", tags=["web UI clients"])
for _part in (drawing, lists, pictures):
    router.include_router(_part.router)
