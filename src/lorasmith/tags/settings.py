"""[tags]: how captions are made of tags."""

from __future__ import annotations

from pydantic import Field, field_validator

from lorasmith.project import Project
from lorasmith.schema import TableModel, read_table
from lorasmith.tags.words import split_tags


class TagsTable(TableModel):
    """Lists may be written as TOML lists or as one comma-separated text (T5); `*` stands for any letters.

    `undesired`: tags that must not be trained. `absorb`: features of the subject, left out so that the trigger
    takes them over (T4). `add`: tags for every caption. `threshold`: the tagger's least score in 0..1 for general
    tags, `character_threshold` for names of characters.
    """

    undesired: tuple[str, ...] = ()
    absorb: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    threshold: float = Field(0.35, ge=0, le=1)
    character_threshold: float = Field(0.85, ge=0, le=1)

    @field_validator("undesired", "absorb", "add", mode="before")
    @classmethod
    def _list_or_text(cls, value: object) -> object:
        if isinstance(value, str):
            return split_tags(value)
        if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
            return tuple(tag for part in value for tag in split_tags(part))
        return value


def read_settings(project: Project) -> TagsTable:
    """The checked [tags] table of a project. Raises ProjectError naming every fault."""
    return read_table(TagsTable, project.table("tags"), where=project.where("tags"))
