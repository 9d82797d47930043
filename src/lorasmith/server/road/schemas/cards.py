"""The card at the end of the road, and where it goes."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lorasmith.server.native.schemas import Told
from lorasmith.server.native.spec_models import Asked


class CardAnswer(Told):
    """The card as `lorasmith card --json` tells it; `problem` is what stands in the way of publishing."""

    card: dict[str, Any]
    text: str
    warnings: list[str]
    adapter: str
    problem: dict[str, Any] | None
    header: list[str]


class PublishRequest(Asked):
    """To a new folder of the project by its name, or to ``hf:OWNER/NAME``; the latter only with `yes`."""

    to: str = Field(min_length=1, max_length=300)
    yes: bool = False
    private: bool = False
