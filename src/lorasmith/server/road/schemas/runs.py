"""Runs: what is asked of them and what is told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lorasmith.server.native.schemas import Told
from lorasmith.server.native.spec_models import Asked

RunState = Literal["waiting", "running", "stopping", "done", "failed", "cancelled", "stopped"]


class RunRequest(Asked):
    """A new run with these values over the recipe, dotted; with `probe` its learning rates are found first. Or with
    `resume` the run of that name goes on."""

    settings: dict[str, Any] = Field(default_factory=dict, max_length=500)
    probe: bool = False
    resume: str | None = Field(default=None, max_length=200)


class RunHead(Told):
    """A run in the list. `job` is its number in the queue, null for one that the command line started; `place` how many
    stand before it in the line; `adapter` its final file."""

    name: str
    state: RunState
    job: int | None
    place: int | None
    step: int
    steps: int
    message: str
    settings: list[str]
    created: float
    is_sweep: bool
    probe: bool
    loss: float | None
    adapter: str | None
    adapters: int


class RunsAnswer(Told):
    """The newest first. `worker` tells whether somebody works through the queue."""

    runs: list[RunHead]
    worker: bool


class RunAnswer(Told):
    """All of a run: its head, its recipe, its plan, and the history of each variant ("" of a run by itself)."""

    head: RunHead
    recipe: dict[str, Any]
    plan: dict[str, Any]
    variants: dict[str, Any]
    log: list[str]
