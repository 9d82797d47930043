"""From a hub into the library: fetched, hashed, told, and noted where it is from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.errors import UsageError
from lorasmith.events import Work
from lorasmith.library.entry import LibraryEntry
from lorasmith.library.hashes import hash_file
from lorasmith.library.hubs.fetching import Fetched, fetch, open_hub
from lorasmith.library.hubs.references import Reference
from lorasmith.library.index import LibraryIndex
from lorasmith.remedies import Give


@dataclass(frozen=True)
class Installed:
    """What was fetched, and what the library knows of it now."""

    fetched: Fetched
    entry: LibraryEntry

    def as_json(self) -> dict[str, Any]:
        return {**self.fetched.as_json(), "family": self.entry.family, "algorithms": list(self.entry.algorithms)}


def install(
    index: LibraryIndex, reference: Reference, into: Path | None, *, name: str = "", mature: bool = False
) -> Work[Installed]:
    """Fetch what is meant into a folder (the library's own one when None) and take it into the library. Raises what
    `fetch` raises, and UsageError where nobody can tell which folder."""
    place = chosen_folder(index) if into is None else into
    with open_hub(reference) as hub:
        fetched = yield from fetch(hub, reference, place, name=name, mature=mature)
    index.add_file(fetched.path, hash_file(fetched.path))
    entry = index.add_file(fetched.path)
    index.set_hub(entry, fetched.facts)
    return Installed(fetched, index.entry(fetched.path) or entry)


def chosen_folder(index: LibraryIndex) -> Path:
    """The library's folder, where there is one alone. Raises UsageError."""
    folders = index.folders()
    if len(folders) == 1:
        return folders[0]
    known = f"The library has several: {', '.join(map(str, folders[:5]))}." if folders else "The library has none yet."
    raise UsageError("into which folder?", hint=f"{known} Say which:", remedy=Give("into", "FOLDER"))
