"""What a source offers to a project: pictures and captions, each with what is known of where it is from."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lorasmith.dataset.encodings import NotTextError, decode
from lorasmith.dataset.folders import CAPTION_EXTENSION, Problem
from lorasmith.images.opening import is_image_name


@dataclass(frozen=True)
class Origin:
    """Where one picture is from, as far as its source says. `published` and `retrieved` are dates, YYYY-MM-DD."""

    source: str = ""
    author: str = ""
    licence: str = ""
    published: str = ""
    retrieved: str = ""


@dataclass(frozen=True)
class Piece:
    """One file on offer: its wanted place below the images folder, and how to read it.

    `open` and the reading may fail (OSError and what decoders raise): then the piece is left out and named.
    """

    place: PurePosixPath
    open: Callable[[], BinaryIO]
    origin: Origin

    @property
    def is_image(self) -> bool:
        return is_image_name(Path(self.place))


@dataclass(frozen=True)
class Offer:
    """All that one source has. `kind` in a few words; `label` the folder name that keeps several sources apart; `count`
    how many pieces there are about; `contents` is read once, may be lazy, gives a picture before its caption, and names
    what is not taken, too. `class_images` are pictures of the subject's kind (regularisation images), `settings` what
    the source says about training, by recipe key; `said` tells a person what was understood, a line each;
    `class_folder` is where in a folder its class images lie, "" elsewhere."""

    kind: str
    label: str
    count: int
    contents: Iterable[Piece | Problem]
    class_images: Sequence[Piece | Problem] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    class_folder: str = ""


@dataclass(frozen=True)
class SourceOptions:
    """How sources are read: whether links that lead out of a folder are followed; the encoding of tables and captions
    that are not UTF-8, "" where none was told."""

    follow_links: bool = False
    encoding: str = ""


PLAIN = SourceOptions()


@dataclass(frozen=True)
class SourceKind:
    """A kind of source. `offer` gives None when a path is not of this kind; raises DatasetError when it is, but
    cannot be used."""

    name: str
    offer: Callable[[Path, SourceOptions], Offer | None]


def text_piece(place: PurePosixPath, text: str, origin: Origin) -> Piece:
    """A caption that a source tells by other means than a sidecar; `place` is its picture's."""
    return Piece(place.with_suffix(CAPTION_EXTENSION), lambda: io.BytesIO(text.encode("utf-8", "replace")), origin)


def recoded(piece: Piece, encoding: str) -> Piece:
    """A caption in UTF-8 whatever it was saved in; what is not in `encoding` stays as it is, and will be named."""

    def reopen() -> BinaryIO:
        with piece.open() as file:
            data = file.read()
        try:
            return io.BytesIO(decode(data, encoding).encode("utf-8"))
        except NotTextError:
            return io.BytesIO(data)

    return Piece(piece.place, reopen, piece.origin)


def file_piece(place: PurePosixPath, path: Path, origin: Origin) -> Piece:
    """A file on disk, as it is."""
    return Piece(place, lambda: path.open("rb"), origin)
