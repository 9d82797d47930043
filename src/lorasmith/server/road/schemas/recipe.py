"""The recipe's form, changes of it, the plan, and what another trainer's file holds."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lorasmith.server.native.schemas import Told
from lorasmith.server.native.spec_models import Asked

Settings = dict[str, Any]
"""Recipe keys, dotted, with their values."""


class FormKeyAnswer(Told):
    """A key of the form; see `lorasmith.recipe.form.FormKey`."""

    path: str
    group: str
    kind: str
    meaning: str
    value: Any
    preset: Any
    default: Any
    is_set: bool
    usual: bool
    least: float | None
    most: float | None
    choices: list[Any]


class FormGroup(Told):
    """Keys under one title."""

    title: str
    keys: list[FormKeyAnswer]


class PresetAnswer(Told):
    """Where the recipe starts, and why."""

    kind: str
    family: str
    reasons: list[str]


class RecipeFormAnswer(Told):
    """All keys of the recipe; `problem` is what is wrong with the file as it stands."""

    groups: list[FormGroup]
    preset: PresetAnswer
    problem: str | None
    sweep: dict[str, Any]


class RecipeChange(Asked):
    """Keys to set and to take out, dotted from the tables of lora.toml: recipe.rank, sweep.rank, exam.pictures."""

    set: Settings = Field(default_factory=dict, max_length=500)
    unset: list[str] = Field(default_factory=list, max_length=500)


class TrySettings(Asked):
    """Values over the recipe for one plan or run, dotted from [recipe]."""

    settings: Settings = Field(default_factory=dict, max_length=500)
    probe: bool = False
    rehearse: bool = False


class ImportAnswer(Told):
    """What a file of another trainer says; `written` tells whether it stands in lora.toml now."""

    source: str
    recipe: dict[str, Any]
    left_out: list[dict[str, Any]]
    notes: list[str]
    written: bool
