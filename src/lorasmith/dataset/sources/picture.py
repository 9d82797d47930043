"""A single picture, with the caption beside it."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lorasmith.dataset.folders import CAPTION_EXTENSIONS, printable
from lorasmith.dataset.sources.source import PLAIN, Offer, Origin, Piece, SourceKind, SourceOptions, file_piece
from lorasmith.images.opening import is_image_name


def offer_picture(path: Path, options: SourceOptions = PLAIN) -> Offer | None:
    """The picture, and its same-stem caption."""
    del options
    return Offer("image", "", 1, _pieces(path)) if is_image_name(path) and path.is_file() else None


def _pieces(path: Path) -> Iterator[Piece]:
    yield file_piece(PurePosixPath(path.name), path, Origin(source=printable(path.name)))
    for extension in CAPTION_EXTENSIONS:
        caption = path.with_suffix(extension)
        if os.path.isfile(caption):  # NOTE: Path.is_file raises where the name gets too long
            yield file_piece(PurePosixPath(caption.name), caption, Origin())


KIND = SourceKind("an image file", offer_picture)
