"""[dataset]: where the images lie, and which findings are accepted."""

from __future__ import annotations

from pydantic import Field, field_validator

from lorasmith.dataset.encodings import check_encoding
from lorasmith.errors import UsageError
from lorasmith.project import Project
from lorasmith.schema import TableModel, read_table


class DatasetTable(TableModel):
    """`images`: folders, relative to the project or absolute, or URLs of folders. `waive`: rule id -> why its findings
    are accepted. `encoding`: of captions that are not UTF-8. `follow_links`: whether links that lead out of a folder
    are read."""

    images: tuple[str, ...] = ("images",)
    waive: dict[str, str] = Field(default_factory=dict)
    encoding: str = ""
    follow_links: bool = False

    @field_validator("images", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("images")
    @classmethod
    def _at_least_one(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(folder.strip() for folder in value):
            raise ValueError("name at least one folder of images.")
        return value

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            return check_encoding(value)
        except UsageError as fault:
            raise ValueError(f"{fault.message} {fault.hint}") from None

    @field_validator("waive")
    @classmethod
    def _reasons(cls, value: dict[str, str]) -> dict[str, str]:
        for rule, reason in value.items():
            if not reason.strip():
                raise ValueError(f'give a reason, as in {rule} = "the set is small on purpose".')
        return value


def read_settings(project: Project) -> DatasetTable:
    """The checked [dataset] table of a project. Raises ProjectError naming every fault."""
    return read_table(DatasetTable, project.table("dataset"), where=project.where("dataset"))
