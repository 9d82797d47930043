"""The sidecars and the preview of a file: which there are, what they say together, and how one is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lorasmith.library.sidecars import a1111, civitai_helper, lora_manager, stability_matrix
from lorasmith.library.sidecars.sidecar import SidecarFacts, merge_table, read_table

SIDECARS: Mapping[str, Callable[[Mapping[str, Any]], SidecarFacts]] = {
    # What a user types himself goes before what a hub said.
    a1111.SUFFIX: a1111.read,
    lora_manager.SUFFIX: lora_manager.read,
    civitai_helper.SUFFIX: civitai_helper.read,
    stability_matrix.SUFFIX: stability_matrix.read,
}
"""Who reads a sidecar, by what stands behind the stem in its name; the first that says something is believed."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif")
PREVIEWS = tuple(f"{middle}{kind}" for middle in (".preview", "", ".thumb", ".cm-info.thumb") for kind in PICTURES)
"""What stands behind the stem in the name of a preview, the first that is there."""


def sidecar_names(stem: str, there: Collection[str]) -> tuple[str, ...]:
    """The sidecars of a file with this stem among the names of its folder."""
    return tuple(f"{stem}{suffix}" for suffix in SIDECARS if f"{stem}{suffix}" in there)


def preview_name(stem: str, there: Collection[str]) -> str | None:
    """The preview of a file with this stem among the names of its folder."""
    return next((f"{stem}{suffix}" for suffix in PREVIEWS if f"{stem}{suffix}" in there), None)


def sidecar_path(file: Path, suffix: str) -> Path:
    """Where the sidecar of a file lies: the stem, and one of `SIDECARS`."""
    return file.with_name(f"{file.stem}{suffix}")


def read_sidecars(file: Path, names: Collection[str] | None = None) -> SidecarFacts:
    """What the sidecars beside a file say together. `names` are those that are there, if that is known."""
    facts = SidecarFacts()
    for suffix, read in SIDECARS.items():
        path = sidecar_path(file, suffix)
        if names is not None and path.name not in names:
            continue
        table = read_table(path)
        if table is not None:
            facts = join(facts, read(table))
    return facts


def join(first: SidecarFacts, second: SidecarFacts) -> SidecarFacts:
    """What both say; where they differ the first is believed. Triggers and tags are those of both."""
    filled = {name: value for name, value in vars(second).items() if not getattr(first, name)}
    return replace(
        first, **filled | {"triggers": _both(first.triggers, second.triggers), "tags": _both(first.tags, second.tags)}
    )


def _both(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    known = {text.casefold(): text for text in (*second[::-1], *first[::-1])}
    return tuple(dict.fromkeys(known[text.casefold()] for text in (*first, *second)))


def write_a1111(file: Path, facts: SidecarFacts) -> Path:
    """Write what A1111 shows of a file beside it; keys of others in that sidecar stay. Raises StorageError."""
    return merge_table(sidecar_path(file, a1111.SUFFIX), a1111.values(facts))


def write_lora_manager(file: Path, facts: SidecarFacts) -> Path:
    """The same for Lora Manager, whose sidecar must be there: it makes it itself. Raises StorageError."""
    path = sidecar_path(file, lora_manager.SUFFIX)
    return merge_table(path, lora_manager.values(facts, read_table(path) or {}))


def write_civitai(file: Path, version: Mapping[str, Any]) -> Path:
    """Write a version as Civitai gave it, as Civitai Helper keeps it; keys that it had and the hub has no more stay.
    Raises StorageError."""
    return merge_table(sidecar_path(file, civitai_helper.SUFFIX), version)
