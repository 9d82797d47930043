"""The bases that the server may draw with, by name. Nothing heavy is imported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.hashing import hash_base
from lorasmith.errors import LorasmithError
from lorasmith.generation.base_facts import BaseFacts, known_facts
from lorasmith.project import EMBEDDED
from lorasmith.server.errors import FieldError

_HASH = re.compile(r"[0-9a-f]{8,64}")
"""As other tools shorten hashes: to no fewer than 8 digits."""


@dataclass(frozen=True)
class BaseEntry:
    """A base that the server may draw with: how clients call it, and what it is loaded from."""

    name: str
    source: str

    @cached_property
    def hash(self) -> str:
        """The hash of its weights; they are read to the end for it, once. Empty when they cannot be read."""
        try:
            return hash_base(doodle_folder() if self.source == EMBEDDED else Path(self.source).expanduser())
        except (OSError, LorasmithError):
            return ""

    @cached_property
    def facts(self) -> BaseFacts:
        """What is known of it before it is loaded."""
        return known_facts(self.source)


def list_bases(sources: Sequence[str]) -> tuple[BaseEntry, ...]:
    """The bases by name: "doodle", or the name of a folder or file without its ending; equal names get a number."""
    entries: dict[str, BaseEntry] = {}
    for source in sources:
        name = source if source == EMBEDDED else Path(source).resolve().name.removesuffix(".safetensors")
        number = 2
        unique = name
        while unique in entries:
            unique, number = f"{name} ({number})", number + 1
        entries[unique] = BaseEntry(unique, source)
    return tuple(entries.values())


def find_base(bases: Sequence[BaseEntry], name: str, where: str = "base") -> BaseEntry:
    """The base of a name, in any case, or of the beginning of its hash; "name [hash]" as web UI clients send it is
    understood. Raises FieldError."""
    wanted = name.strip().lower().removesuffix(".safetensors")
    plain = wanted.rsplit(" [", 1)[0] if wanted.endswith("]") else wanted
    for entry in bases:
        if entry.name.lower() in (wanted, plain):
            return entry
    if _HASH.fullmatch(wanted):
        for entry in bases:
            if entry.hash.startswith(wanted):
                return entry
    raise FieldError(
        f'"{name}": unknown base.', where=where, hint=f"There are: {', '.join(entry.name for entry in bases)}."
    )
