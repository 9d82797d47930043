"""A folder of pictures with their captions: plain, nested, or in `N_name` folders."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from lorasmith.dataset.folders import Found, Place, Problem, find_files, printable
from lorasmith.dataset.sources.source import Offer, Origin, Piece, SourceKind, file_piece, text_piece
from lorasmith.errors import DatasetError

_NO_USE = "neither a picture nor a caption."


def offer_folder(path: Path) -> Offer | None:
    """Every picture and caption below `path`. Raises DatasetError when there is no picture."""
    if not path.is_dir():
        return None
    found = find_files(path)
    check_images(path, found)
    label = path.resolve().name
    return Offer("folder", label, count(found), pieces(path, found, lambda place: local_origin(label, place)))


def check_images(path: Path, found: Found) -> None:
    """Raise DatasetError, with what lies there instead, when nothing was found that may be a picture."""
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
    for place in found.images:
        where = PurePosixPath(place.path.relative_to(root).as_posix())
        origin = origin_of(place)
        yield file_piece(where, place.path, origin)
        if texts and place.path in texts and place.path.with_suffix("") not in captioned:
            yield text_piece(where, texts[place.path], origin)
    for place in found.captions:
        where = PurePosixPath(place.path.relative_to(root).as_posix())
        yield file_piece(where, place.path, Origin())
    for place in found.others:
        if place.path not in used:
            yield Problem("other", place.name, place.path, _NO_USE)


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
