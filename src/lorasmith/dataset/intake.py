"""Take images in: copy them, with their captions, from wherever they lie into a project. Nothing is moved."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from lorasmith.dataset.folders import CAPTION_EXTENSION, find_files, read_repeats
from lorasmith.errors import DatasetError, StorageError
from lorasmith.events import Progress, Work
from lorasmith.images.opening import is_image_name


@dataclass(frozen=True)
class Copy:
    """A file, and where it goes below the project's images folder."""

    source: Path
    target: PurePath
    is_image: bool


def plan_copies(sources: Sequence[Path]) -> tuple[Copy, ...]:
    """What to copy from `sources`, folders or single images. `N_name` folders keep their names at the top, so that
    their repeats hold; of several other folders each keeps its own name. Raises DatasetError when a source is
    missing, is no image, or has no images in it.
    """
    taken: set[str] = set()
    copies: list[Copy] = []
    for source in sources:
        stems: dict[PurePath, PurePath] = {}
        for path, wanted, is_image in _list_source(source, alone=len(sources) == 1):
            stem = wanted.with_suffix("")
            if stem not in stems:
                stems[stem] = _unique(stem, taken)
            target = stems[stem].with_name(stems[stem].name + path.suffix)
            copies.append(Copy(path, target, is_image))
    return tuple(copies)


def copy_in(copies: Sequence[Copy], folder: Path) -> Work[None]:
    """Make `folder` with the copies in it, or nothing: they are gathered beside it first. Raises StorageError."""
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for done, copy in enumerate(copies, start=1):
            target = partial / copy.target
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(copy.source, target)
            yield Progress("copying", done, len(copies))
        if folder.is_dir():
            folder.rmdir()
        partial.rename(folder)
    except OSError as fault:
        raise StorageError(
            f"cannot copy: {fault.strerror}.", where=fault.filename or folder, hint="Nothing was left half done."
        ) from fault
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _list_source(source: Path, alone: bool) -> Iterator[tuple[Path, PurePath, bool]]:
    """(file, wanted place below the images folder, is it an image) for all of a source."""
    if not source.exists():
        raise DatasetError("no such folder of images.", where=source, hint="Check the spelling of --images.")
    if not source.is_dir():
        yield from _single(source)
        return
    found = find_files(source)
    if not found.images:
        raise DatasetError("no images in this folder.", where=source, hint=_seen(source))
    counts = read_repeats(source.resolve().name)
    keep_name = not alone or (counts is not None and counts[0] >= 1 and counts[1] != "")
    for is_image, places in ((True, found.images), (False, found.captions)):
        for place in places:
            inside = place.path.relative_to(source)
            in_counted_child = len(inside.parts) > 1 and read_repeats(inside.parts[0]) is not None
            top = PurePath() if in_counted_child or not keep_name else PurePath(source.resolve().name)
            yield place.path, top / inside, is_image


def _single(source: Path) -> Iterator[tuple[Path, PurePath, bool]]:
    if not is_image_name(source):
        raise DatasetError("neither a folder nor an image.", where=source, hint="Give a folder of images.")
    yield source, PurePath(source.name), True
    caption = source.with_suffix(CAPTION_EXTENSION)
    if caption.is_file():
        yield caption, PurePath(caption.name), False


def _unique(stem: PurePath, taken: set[str]) -> PurePath:
    unique, number = stem, 2
    while str(unique).casefold() in taken:
        unique, number = stem.with_name(f"{stem.name}-{number}"), number + 1
    taken.add(str(unique).casefold())
    return unique


def _seen(folder: Path) -> str:
    """What lies there instead, for the hint."""
    names = sorted(path.name for path in _some(folder.iterdir(), 200) if not path.name.startswith("."))
    if not names:
        return "It is empty."
    shown = ", ".join(names[:3])
    return f"It holds {shown}{' and more' if len(names) > 3 else ''}; images are png, jpg, webp, bmp, gif, ..."


def _some(paths: Iterable[Path], count: int) -> Iterator[Path]:
    for _, path in zip(range(count), paths, strict=False):
        yield path
