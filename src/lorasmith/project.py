"""A project: `lora.toml` and where things lie on disk. Knows the tables' names, not what is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

import tomlkit
from pydantic import field_validator
from tomlkit.exceptions import TOMLKitError

from lorasmith.errors import ProjectError, did_you_mean
from lorasmith.remedies import Action, Do
from lorasmith.schema import TableModel, read_table
from lorasmith.storage.arrivals import settle

FILE_NAME = "lora.toml"
EMBEDDED = "doodle"
"""The name of the base model that comes with the package."""
TABLES = ("lora", "bundle", "dataset", "tags", "recipe", "sweep", "exam", "provenance")


class SubjectKind(StrEnum):
    """What is learnt (domain.md, Words)."""

    CHARACTER = "character"
    COUPLE = "couple"
    BACKGROUND = "background"
    ASSET = "asset"
    CLOTHING = "clothing"
    POSE = "pose"
    CONCEPT = "concept"
    STYLE = "style"


class LoraTable(TableModel):
    """[lora]: the three things that define a LoRA, and its trigger (T1, T2)."""

    name: str
    subject: SubjectKind
    trigger: str
    vision: str = ""
    base: str = EMBEDDED


class MemberTable(TableModel):
    """[bundle.NAME]: one of several subjects in a project (D3). `folders` of its images: as in the images' names
    ("anna"), or from the project's folder ("images/anna")."""

    trigger: str
    folders: tuple[str, ...]

    @field_validator("trigger")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value.strip(" ,"):
            raise ValueError("give a word that means nothing yet.")
        return " ".join(value.split())

    @field_validator("folders", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("folders")
    @classmethod
    def _inside(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one folder of images.")
        for folder in value:
            parts = PurePosixPath(folder).parts
            if not parts or parts == (".",) or ".." in parts:
                raise ValueError(f'"{folder}" does not name a folder inside the images.')
        return tuple(PurePosixPath(folder).as_posix() for folder in value)


class ProvenanceTable(TableModel):
    """[provenance]: where the images come from; of real people also their consent."""

    source: str = ""
    author: str = ""
    licence: str = ""
    real_person: bool = False
    consent: str = ""


@dataclass(frozen=True)
class Project:
    """A folder with a `lora.toml`. Paths are absolute; nothing is created by asking for one."""

    root: Path
    lora: LoraTable
    provenance: ProvenanceTable
    tables: Mapping[str, Mapping[str, Any]]
    bundle: Mapping[str, MemberTable] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.root / FILE_NAME

    @property
    def cache(self) -> Path:
        """Deletable: index, fingerprints, raw tags, latents."""
        return self.root / ".lorasmith"

    @property
    def built_dataset(self) -> Path:
        return self.root / "build" / "dataset"

    @property
    def made(self) -> Path:
        """Pictures that were made from the user's: altered copies, crops, collages, adopted ones."""
        return self.root / "made"

    @property
    def curation(self) -> Path:
        """The decisions on images, one a line."""
        return self.root / "curation.jsonl"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def exams(self) -> Path:
        return self.root / "exams"

    def table(self, name: str) -> Mapping[str, Any]:
        """The raw values of one table; empty when the file does not have it."""
        return self.tables.get(name, {})

    def where(self, table: str) -> str:
        """How messages name a table: ``my-lora/lora.toml: [recipe]``."""
        return f"{self.file}: [{table}]"


def open_project(path: Path | str) -> Project:
    """Read the project at `path` (its folder, or its lora.toml). Raises ProjectError; StorageError when files that an
    interruption left to be moved cannot be."""
    given = Path(path)
    root = given.parent if given.name == FILE_NAME else given
    file = root / FILE_NAME
    if not root.exists():
        raise ProjectError(
            "no such folder.",
            where=root,
            hint="Make a project with:",
            remedy=Do(Action.NEW, project="FOLDER", images="IMAGES"),
        )
    if not root.is_dir():
        raise ProjectError("is a file, not a project's folder.", where=root, hint=f"Give the folder of a {FILE_NAME}.")
    settle(root)
    if not file.is_file():
        remedy = Do(Action.NEW, project=root)
        raise ProjectError(f"no {FILE_NAME} in this folder.", where=root, hint="Make one with:", remedy=remedy)
    return make_project(root, _read_toml(file))


def make_project(root: Path, values: Mapping[str, Mapping[str, Any]]) -> Project:
    """A project at `root` with these tables, whatever its file says. Raises ProjectError."""
    file = root / FILE_NAME
    for name in values:
        if name not in TABLES:
            hint = did_you_mean(name, TABLES) or f"Known tables: {', '.join(TABLES)}."
            raise ProjectError(f"[{name}]: unknown table.", where=file, hint=hint)
    return Project(
        root=root.resolve(),
        lora=read_table(LoraTable, values.get("lora", {}), where=f"{file}: [lora]"),
        provenance=read_table(ProvenanceTable, values.get("provenance", {}), where=f"{file}: [provenance]"),
        tables=values,
        bundle=_read_bundle(file, values.get("bundle", {})),
    )


def _read_bundle(file: Path, members: Mapping[str, Any]) -> dict[str, MemberTable]:
    """The members by name. Raises ProjectError for one trigger or one folder of two members (T10)."""
    bundle: dict[str, MemberTable] = {}
    for name, values in members.items():
        where = f"{file}: [bundle.{name}]"
        if not isinstance(values, dict):
            hint = f'Write [bundle.NAME] with trigger = "..." and folders = ["..."] below it, not {name} = ...'
            raise ProjectError(f"{values!r}: not a member of the bundle.", where=where, hint=hint)
        member = read_table(MemberTable, values, where=where)
        for other, known in bundle.items():
            if known.trigger.casefold() == member.trigger.casefold():
                hint = "Give each member a trigger of its own."
                raise ProjectError(
                    f'trigger = "{member.trigger}": that is [bundle.{other}] too.', where=where, hint=hint
                )
            for folder in member.folders:
                if any(_overlap(folder, theirs) for theirs in known.folders):
                    hint = "An image belongs to one member."
                    raise ProjectError(f'folders: "{folder}" is in [bundle.{other}] too.', where=where, hint=hint)
        bundle[name] = member
    return bundle


def _overlap(one: str, other: str) -> bool:
    """Whether one folder is the other, or lies in it."""
    return PurePosixPath(one).is_relative_to(other) or PurePosixPath(other).is_relative_to(one)


def _read_toml(file: Path) -> dict[str, dict[str, Any]]:
    try:
        values = tomlkit.parse(file.read_text("utf-8")).unwrap()
    except UnicodeDecodeError as fault:
        raise ProjectError(f"not UTF-8 text ({fault.reason} at byte {fault.start}).", where=file) from None
    except TOMLKitError as fault:
        hint = "Mend it in a text editor."
        raise ProjectError(f"not valid TOML: {str(fault).rstrip('.')}.", where=file, hint=hint) from None
    for name, table in values.items():
        if not isinstance(table, dict):
            raise ProjectError(f"{name} = {table!r}: stands outside a table.", where=file, hint="Put it below [lora].")
    return values


def check_folder_name(name: str) -> None:
    """Raise ProjectError for "-", which stands for no project in an address of the page, and elsewhere for standard
    input."""
    if name == "-":
        raise ProjectError(
            'a project\'s folder cannot be called "-": that stands for none.',
            hint="Give it another name, such as mine.",
        )


def safe_name(text: str) -> str:
    """A file-name-safe form of `text`: letters, digits, dot, dash and underscore; never empty, never hidden."""
    return re.sub(r"[^\w.-]+", "_", text, flags=re.UNICODE).strip("._") or "unnamed"
