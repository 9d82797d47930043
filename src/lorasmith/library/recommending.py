"""Where a recommended strength goes when an exam has found it: the adapter's header, and A1111's sidecar."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lorasmith.errors import AdapterError
from lorasmith.library.sidecars import a1111
from lorasmith.library.sidecars.beside import sidecar_path, write_a1111
from lorasmith.library.sidecars.sidecar import SidecarFacts, read_table
from lorasmith.project import Project


def recommend(project: Project, file: Path, document: Mapping[str, Any], within: Path | None = None) -> str | None:
    """Keep what an exam's document recommends with the adapter's `file`, in words; None when there is nothing to keep.

    The file must lie in the project's runs or exams, or `within`: others are the user's own and stay as they are; so
    does what is no adapter file. Raises StorageError.
    """
    from lorasmith.adapters.recommendation import Recommendation, write_recommendation

    recommended = Recommendation.of(document)
    made_here = any(
        file.resolve().is_relative_to(folder.resolve()) for folder in (project.runs, project.exams, within) if folder
    )
    if recommended is None or not made_here:
        return None
    try:
        write_recommendation(file, recommended)
    except AdapterError:
        return None
    sidecar = sidecar_path(file, a1111.SUFFIX)
    if not sidecar.exists() or a1111.read(read_table(sidecar) or {}) != SidecarFacts():  # else it is something else
        write_a1111(file, SidecarFacts(triggers=(project.lora.trigger,), strength=recommended.strength))
    _tell_library(file)
    return str(recommended)


def _tell_library(file: Path) -> None:
    """Where the user's library knows the file, it knows its new header and its exam, too."""
    from lorasmith.library.hashes import hash_file
    from lorasmith.library.lookup import LibraryLookup

    index = LibraryLookup().index()
    if index is not None and index.entry(file) is not None:
        index.add_file(file, hash_file(file))
