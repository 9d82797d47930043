"""Captions that came with pictures which the project has already, and say something else than those there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lorasmith.dataset.folders import CAPTION_EXTENSION, CAPTION_EXTENSIONS
from lorasmith.dataset.reading import MADE, Item
from lorasmith.project import Project
from lorasmith.storage.files import write_file

REPLACED = "replaced captions"


@dataclass(frozen=True)
class Mended:
    """Another `text` for the caption of a picture of the project."""

    item: Item
    text: str


def find_mended(project: Project, items: Sequence[Item], text: str) -> list[Mended]:
    """Those of identical pictures whose caption is another; what lies outside of the project, and made pictures, whose
    captions are their sources', are left alone."""
    root = project.root.resolve()
    ours = [item for item in items if item.folder != MADE and item.path.resolve().is_relative_to(root)]
    return [Mended(item, text) for item in ours if item.caption != text]


def write_mended(project: Project, mended: Sequence[Mended]) -> Path:
    """Write the captions to the pictures' own caption files; gives the folder below build/ where the earlier ones were
    copied to first, each to a name of its own. Raises StorageError."""
    kept = project.built_dataset.parent / REPLACED
    for one in mended:
        file = _caption_file(one.item.path)
        if file.exists():
            place = _free(kept / Path(one.item.name).parent / file.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            write_file(place, file.read_bytes())
        write_file(file, f"{one.text}\n")
    return kept


def _caption_file(picture: Path) -> Path:
    """The caption file of a picture, in the order in which they are read; where there is none, that to be made."""
    names = [picture.with_suffix(extension) for extension in CAPTION_EXTENSIONS]
    names += [picture.with_name(picture.name + extension) for extension in CAPTION_EXTENSIONS]
    return next((name for name in names if name.is_file()), picture.with_suffix(CAPTION_EXTENSION))


def _free(place: Path) -> Path:
    free, number = place, 2
    while free.exists():
        free, number = place.with_name(f"{place.stem}-{number}{place.suffix}"), number + 1
    return free
