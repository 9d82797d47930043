"""A second round: what is asked and what is told."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lorasmith.server.native.schemas import Told
from lorasmith.server.native.spec_models import Asked
from lorasmith.server.road.schemas.exams import ProcessAnswer


class RoundRequest(Asked):
    """A round with the newest adapter; `count` pictures to keep, null for what the plan says."""

    count: int | None = Field(None, ge=1, le=500)


class RoundPlanAnswer(Told):
    """What will be drawn: `wanted` pictures to keep, each of which shows one of the `values`; about so many `pictures`
    for them, in about so many `seconds` (null: no exam tells the pace)."""

    adapter: str
    values: list[str]
    wanted: int
    pictures: int
    seconds: float | None


class RoundAnswer(Told):
    """The round under way or the last one, whose `result` is what `lorasmith curate round --events` says at its end;
    the newest `adapter`, null before the first; the `plan` of the next, null until it is asked for anew."""

    process: ProcessAnswer
    result: dict[str, Any] | None
    adapter: str | None
    plan: RoundPlanAnswer | None
