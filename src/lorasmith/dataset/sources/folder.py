"""A folder of pictures with their captions: plain, nested, or in `N_name` folders."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lorasmith.dataset.folders import Found, Place, Problem, find_files, picture_of, printable
from lorasmith.dataset.sources.source import (
    PLAIN,
    Offer,
    Origin,
    Piece,
    SourceKind,
    SourceOptions,
    file_piece,
    text_piece,
)
from lorasmith.errors import DatasetError
from lorasmith.remedies import Give, Sentence

_LARGEST = 4 << 20
_NO_USE = "neither a picture nor a caption."


def offer_folder(path: Path, options: SourceOptions = PLAIN) -> Offer | None:
    """Every picture and caption below `path`. Raises DatasetError when there is no picture."""
    if not path.is_dir():
        return None
    found = find_files(path, follow_links=options.follow_links)
    check_images(path, found)
    label = path.resolve().name
    return Offer("folder", label, count(found), pieces(path, found, lambda place: local_origin(label, place)))


def check_images(path: Path, found: Found) -> None:
    """Raise DatasetError, with what lies there instead, when nothing was found that may be a picture."""
    links = sum(problem.kind == "link" for problem in found.problems)
    if not found.images and links:
        message = f"no images in this folder but {links} that are links, which lead out of it and are not followed."
        remedy = Sentence("To take what they lead to: ", Give("follow_links"), ".")
        raise DatasetError(message, where=printable(str(path)), remedy=remedy)
    if not found.images:
        raise DatasetError("no images in this folder.", where=printable(str(path)), hint=_seen(found))


def count(found: Found) -> int:
    return len(found.images) + len(found.captions)


def pieces(
    root: Path,
    found: Found,
    origin_of: Callable[[Place], Origin],
    texts: Mapping[Path, str] | None = None,
    used: Collection[Path] = (),
) -> Iterator[Piece | Problem]:
    """The pieces of a folder. `texts`: captions by picture, for those that have no sidecar; `used`: files that served
    otherwise and are not to be named as left out."""
    yield from found.problems
    captioned = {place.path.with_suffix("") for place in found.captions}
    names = {place.path for place in found.images}
    stems = Counter(place.path.with_suffix("") for place in found.images)
    for place in found.images:
        where = PurePosixPath(place.path.relative_to(root).as_posix())
        origin = origin_of(place)
        yield file_piece(where, place.path, origin)
        if texts and place.path in texts and captioned.isdisjoint((place.path, place.path.with_suffix(""))):
            yield text_piece(where, texts[place.path], origin)
    for place in found.captions:
        where = PurePosixPath(place.path.relative_to(root).as_posix())
        picture = place.path.with_suffix("")
        if picture_of(place.path) is None or picture not in names or stems[picture.with_suffix("")] > 1:
            yield file_piece(where, place.path, Origin())
        elif picture.with_suffix("") in captioned:
            yield Problem(
                "other", place.name, place.path, "there is a caption of the picture's own stem, which is taken."
            )
        else:  # a.jpg.txt -> a.txt
            own = where.with_name(picture.stem + where.suffix)
            yield Piece(own, partial(_joined, file_piece(own, place.path, Origin()).open), Origin())
    for place in found.others:
        if place.path not in used:
            yield Problem("other", place.name, place.path, _NO_USE)


def _joined(opens: Callable[[], BinaryIO]) -> BinaryIO:
    """One tag a line -> one line of tags."""
    with opens() as file:
        data = file.read(_LARGEST)
    if b"\0" in data:  # in another encoding: left as it is
        return io.BytesIO(data)
    return io.BytesIO(b", ".join(line for line in map(bytes.strip, data.splitlines()) if line))


def local_origin(label: str, place: Place) -> Origin:
    """A file of the user's own: named without the path of their machine."""
    return Origin(source=f"{printable(label)}/{place.name}")


def _seen(found: Found) -> str:
    """What lies there instead, for the hint."""
    names = [place.name for place in (*found.captions, *found.others)] + [problem.name for problem in found.problems]
    if not names:
        return "It is empty."
    shown = ", ".join(sorted(names)[:3])
    return f"It holds {shown}{' and more' if len(names) > 3 else ''}; images are png, jpg, webp, bmp, gif, ..."


KIND = SourceKind("a folder of images, also with N_name folders", offer_folder)
