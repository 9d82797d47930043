"""The kinds of sources that images are taken from, told apart by what lies there. To add one: its file, a line here."""

from __future__ import annotations

from pathlib import Path

from lorasmith.dataset.folders import printable
from lorasmith.dataset.sources import archive, folder, gallery, kohya, kohya_folders, picture, table, video
from lorasmith.dataset.sources.source import Offer, SourceKind
from lorasmith.errors import DatasetError
from lorasmith.remedies import Give, Sentence

KINDS: tuple[SourceKind, ...] = (
    archive.KIND,
    kohya.KIND,
    kohya_folders.KIND,
    video.KIND,
    gallery.KIND,
    table.KIND,
    folder.KIND,
    picture.KIND,
)


def open_source(path: Path) -> Offer:
    """What lies at `path`, by the first kind that knows it. Raises DatasetError when it is missing or of no kind."""
    where = printable(str(path))
    try:
        path.stat()
    except FileNotFoundError:
        remedy = Sentence("Check the spelling of ", Give("images"), ".")
        raise DatasetError("no such folder of images.", where=where, remedy=remedy) from None
    except (OSError, ValueError) as fault:
        raise DatasetError(f"cannot be opened: {getattr(fault, 'strerror', fault)}.", where=where) from None
    for kind in KINDS:
        if offer := kind.offer(path):
            return offer
    known = ", ".join(kind.name for kind in KINDS)
    raise DatasetError("neither a folder nor an image.", where=where, hint=f"Sources are: {known}.")
