"""All routes of our API."""

from __future__ import annotations

from fastapi import APIRouter

from lorasmith.server.native import choices, jobs, pictures, prompts
from lorasmith.server.native.errors import WRONG

router = APIRouter(prefix="/api/v1", responses=WRONG)
for _part in (choices, jobs, pictures, prompts):
    router.include_router(_part.router)
