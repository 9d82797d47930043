"""A training zip: pairs of picture and caption, as hub trainers take them. Whatever the archive says, nothing is
written but by our own choice of place and size."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from lorasmith.dataset.folders import CAPTION_EXTENSIONS, Problem, printable, read_repeats
from lorasmith.dataset.kohya_layout import find_layout
from lorasmith.dataset.sources.source import PLAIN, Offer, Origin, Piece, SourceKind, SourceOptions
from lorasmith.errors import DatasetError
from lorasmith.images.opening import is_image_name

_MIB = 1 << 20
LARGEST_IMAGE, LARGEST_CAPTION = 512 * _MIB, 1 * _MIB
MOST_FILES = 200_000
#: An archive of pictures hardly shrinks: one that would grow by more than this and by more than `_FREE` is a trap.
MOST_GROWTH, _FREE = 100, 256 * _MIB
_DRIVE = re.compile(r"^[A-Za-z]:")


def offer_archive(path: Path, options: SourceOptions = PLAIN) -> Offer | None:
    """The pictures and captions in a zip. Members that lead out of the archive, links, encrypted and oversized ones are
    named and left out. Raises DatasetError when the archive is damaged, a trap, or without pictures."""
    del options
    if path.suffix.lower() != ".zip" or not path.is_file():
        return None
    where = printable(str(path))
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as fault:
        raise DatasetError(f"not a readable zip ({fault}).", where=where, hint="Pack it again.") from None
    members = [member for member in archive.infolist() if not member.is_dir() and not _is_noise(member.filename)]
    _check_size(path, members)
    listed = list(_sort_out(archive, members, printable(path.name)))
    if not any(isinstance(piece, Piece) and piece.is_image for piece in listed):
        reasons = [f"{one.name}: {one.message}" for one in listed if isinstance(one, Problem)]
        raise DatasetError("no images in this zip.", where=where, hint=" ".join(reasons[:3]) or "It is empty.")
    listed.sort(key=lambda piece: isinstance(piece, Piece) and not piece.is_image)
    return _by_layout(listed, path.stem) or Offer("training zip", path.stem, len(listed), listed)


def _by_layout(listed: Sequence[Piece | Problem], label: str) -> Offer | None:
    """What a zip of the folders that kohya's GUI makes offers, as those folders do; None for any other."""
    children: dict[str, set[str]] = {}
    for parts in (piece.place.parts for piece in listed if isinstance(piece, Piece)):
        if len(parts) > 1:
            children.setdefault(parts[0], set()).update(parts[1:2] if len(parts) > 2 else ())
    layout = find_layout(children)
    if layout is None:
        return None
    own: list[Piece | Problem] = []
    class_images: list[Piece] = []
    for piece in listed:
        top = piece.place.parts[0] if isinstance(piece, Piece) and len(piece.place.parts) > 1 else ""
        if isinstance(piece, Problem) or not top or top not in (layout.learnt, layout.of_class, *layout.passed_over):
            own.append(piece)
        elif top not in layout.passed_over:
            inner = replace(piece, place=piece.place.relative_to(top))
            (class_images if top == layout.of_class else own).append(inner)
    count = sum(piece.is_image for piece in class_images)
    said = layout.describe(f"{layout.of_class}/ as class images ({count})" if count else "")
    return Offer("training zip", label, len(own), own, class_images if count else (), said=(said,))


def _check_size(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    total, packed = sum(member.file_size for member in members), path.stat().st_size
    if len(members) > MOST_FILES or total > max(MOST_GROWTH * packed, _FREE):
        raise DatasetError(
            f"{len(members)} files that would unpack to {total // _MIB} MiB from {max(1, packed // _MIB)} MiB, "
            "which may be a trap.",
            where=printable(str(path)),
            hint="If it is not, unpack it yourself and give the folder.",
        )


def _sort_out(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], name: str) -> Iterator[Piece | Problem]:
    places = [_place(member) for member in members]
    depth = _wrapping([place for place in places if place is not None])
    for member, place in zip(members, places, strict=True):
        shown = printable(member.filename)
        reason = "its name leads out of the archive." if place is None else _why_not(member, place)
        if place is None or reason:
            yield Problem("archive", shown, Path(shown), reason or "")
        else:
            inner = PurePosixPath(*place.parts[depth:])
            yield Piece(inner, partial(_open, archive, member), Origin(source=f"{name}/{shown}"))


def _open(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    opened: IO[bytes] = archive.open(member)
    return cast(BinaryIO, opened)


def _place(member: zipfile.ZipInfo) -> PurePosixPath | None:
    """Where a member says it belongs; None when that is absolute, on a drive, above the archive, or nothing."""
    name = member.filename.replace("\\", "/")
    place = PurePosixPath(name)
    unsafe = name.startswith("/") or _DRIVE.match(name) or ".." in place.parts or not place.name or "\0" in name
    return None if unsafe else place


def _why_not(member: zipfile.ZipInfo, place: PurePosixPath) -> str | None:
    is_caption = place.suffix.lower() in CAPTION_EXTENSIONS
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        return "a link or device, not a file; not followed."
    if not is_caption and not is_image_name(Path(place)):
        return "neither a picture nor a caption."
    if member.flag_bits & 1:
        return "encrypted; unpack it with its password first."
    if member.file_size > (LARGEST_CAPTION if is_caption else LARGEST_IMAGE):
        return f"{member.file_size // _MIB} MiB, more than a {'caption' if is_caption else 'picture'} has."
    return None


def _wrapping(places: Sequence[PurePosixPath]) -> int:
    """How many folders wrap all of the archive, down to the first `N_name` one."""
    depth = 0
    while True:
        tops = {place.parts[depth] if len(place.parts) > depth + 1 else "" for place in places}
        top = next(iter(tops)) if len(tops) == 1 else ""
        if not top or read_repeats(top) is not None:
            return depth
        depth += 1


def _is_noise(name: str) -> bool:
    """What packers add unasked."""
    parts = name.replace("\\", "/").split("/")
    return parts[0] == "__MACOSX" or parts[-1].startswith("._") or parts[-1] in (".DS_Store", "Thumbs.db")


KIND = SourceKind("a zip of image and caption pairs", offer_archive)
