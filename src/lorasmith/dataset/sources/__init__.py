"""The kinds of sources that images are taken from, told apart by what lies there. To add one: its file, a line here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from lorasmith.dataset.folders import Problem, printable
from lorasmith.dataset.sources import archive, folder, gallery, kohya, kohya_folders, picture, stored, table, video
from lorasmith.dataset.sources.source import PLAIN, Offer, Piece, SourceKind, SourceOptions, recoded
from lorasmith.errors import DatasetError
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.remote import url_of

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


def open_source(path: Path, options: SourceOptions = PLAIN) -> Offer:
    """What lies at `path`, by the first kind that knows it. Raises DatasetError when it is missing or of no kind."""
    where = printable(str(path))
    if url := url_of(path):
        return _in_utf8(stored.offer_url(url), options.encoding)
    try:
        path.stat()
    except FileNotFoundError:
        remedy = Sentence("Check the spelling of ", Give("images"), ".")
        raise DatasetError("no such folder of images.", where=where, remedy=remedy) from None
    except (OSError, ValueError) as fault:
        raise DatasetError(f"cannot be opened: {getattr(fault, 'strerror', fault)}.", where=where) from None
    for kind in KINDS:
        if offer := kind.offer(path, options):
            return _in_utf8(offer, options.encoding)
    known = ", ".join(kind.name for kind in KINDS)
    raise DatasetError("neither a folder nor an image.", where=where, hint=f"Sources are: {known}.")


def _in_utf8(offer: Offer, encoding: str) -> Offer:
    """The offer with its captions recoded, where an encoding is told."""
    if not encoding:
        return offer

    def recode(pieces: Iterable[Piece | Problem]) -> Iterator[Piece | Problem]:
        for piece in pieces:
            yield recoded(piece, encoding) if isinstance(piece, Piece) and not piece.is_image else piece

    return replace(offer, contents=recode(offer.contents), class_images=tuple(recode(offer.class_images)))
