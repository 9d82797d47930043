"""The library: pages of entries, facets, notes, and files from hubs."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from lorasmith.server.native.schemas import Told
from lorasmith.server.native.spec_models import Asked


class LibraryPage(Told):
    """A page of entries, each as `lorasmith library list --json` has it, with `id` and `has_preview` besides. `exists`
    is false while there is no library at all."""

    exists: bool
    total: int
    more: bool
    refused: int
    entries: list[dict[str, Any]]
    facets: dict[str, dict[str, int]]
    folders: list[str]


class DuplicatesAnswer(Told):
    """Groups of entries: the same bytes, and the same weights under other headers."""

    same: list[list[dict[str, Any]]]
    same_weights: list[list[dict[str, Any]]]
    unhashed: int


class NoteRequest(Asked):
    """What a user says of a file; what is left out stays, a rating of 0 is none."""

    path: str = Field(max_length=4000)
    notes: str | None = Field(default=None, max_length=20_000)
    rating: int | None = Field(default=None, ge=0, le=5)
    favourite: bool | None = None


class ScanRequest(Asked):
    """Folders to know from now on, inside the folders that are open here; all known ones are looked through."""

    folders: list[str] = Field(default_factory=list, max_length=50)


class GetRequest(Asked):
    """An address of a hub's page, civitai:MODEL@VERSION, hf:OWNER/NAME, or a hash; into a folder of the library."""

    reference: str = Field(min_length=3, max_length=2000)
    into: str | None = Field(default=None, max_length=4000)
    mature: bool = False
