"""What lies in a folder of images: pictures, captions, `N_name` folders, and what has no place there."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lorasmith.images.opening import is_image_name

CAPTION_EXTENSION = ".txt"
NameOf = Callable[[Path], str]


@dataclass(frozen=True)
class Problem:
    """Something in a folder that could not be used; `kind` is "unreadable", "caption", "link" or "folder"."""

    kind: str
    name: str
    path: Path
    message: str


@dataclass(frozen=True)
class Found:
    """The files below one root, by their places; nothing was opened. Sorted by name."""

    images: tuple[Place, ...]
    captions: tuple[Place, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Place:
    """A file: `name` is its printable POSIX path relative to the root, `folder` the name of its group."""

    path: Path
    name: str
    folder: str
    repeats: int


def read_repeats(folder: str) -> tuple[int, str] | None:
    """(repeats, words) of an `N_name` folder, as kohya's trainer reads it; None when it is not one.

    "5_primary" -> (5, "primary"); "12_a_b" -> (12, "a_b"); "7" -> (7, ""); "primary" -> None. May be 0 or less.
    """
    first, _, words = folder.partition("_")
    try:
        return int(first), words
    except ValueError:
        return None


def class_words(folder: str) -> str:
    """The words of an `N_name` folder: the caption of those of its images that have none (D17)."""
    read = read_repeats(folder)
    return read[1].replace("_", " ").strip() if read else ""


def find_files(root: Path, prefix: str = "", leave_out: Collection[Path] = ()) -> Found:
    """Every picture and caption below `root`, hidden ones and the folders `leave_out` aside; `prefix` goes before
    each name.

    A direct child `N_name` gives its repeats to all that is in it, at any depth (kohya's trainer reads no deeper
    than the child); all else counts once, or as often as the root's own name says. Links that lead out of the
    root, and linked folders, are listed as problems and not followed.
    """
    own = read_repeats(root.name)
    default = (root.name, own[0]) if own and own[0] >= 1 and own[1] else ("", 1)
    real_root = root.resolve()
    images: list[Place] = []
    captions: list[Place] = []
    problems: list[Problem] = []

    def name_of(path: Path) -> str:
        return printable(prefix + path.relative_to(root).as_posix())

    def unreadable(fault: OSError) -> None:
        path = Path(os.fsdecode(fault.filename))
        problems.append(Problem("folder", name_of(path), path, f"cannot be opened: {fault.strerror}."))

    for folder, subfolders, files in os.walk(root, onerror=unreadable):
        here = Path(folder)
        ours = [name for name in subfolders if here / name not in leave_out]
        subfolders[:] = sorted(_usable(here, ours, here == root, name_of, problems))
        group, repeats = _group(here, root, default)
        for path in (here / file for file in sorted(files) if not file.startswith(".")):
            is_caption = path.suffix.lower() == CAPTION_EXTENSION
            if not is_caption and not is_image_name(path):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                problems.append(
                    Problem("link", name_of(path), path, "a link that leads out of the folder; not followed.")
                )
                continue
            if path.is_file() or path.is_symlink():
                (captions if is_caption else images).append(Place(path, name_of(path), group, repeats))
    by_name = sorted(images, key=lambda place: place.name)
    return Found(tuple(by_name), tuple(sorted(captions, key=lambda place: place.name)), tuple(problems))


def printable(text: str) -> str:
    """`text` with bytes that are no UTF-8 spelt out, so that it can be shown and stored."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _usable(
    here: Path, subfolders: list[str], at_root: bool, name_of: NameOf, problems: list[Problem]
) -> Iterator[str]:
    for name in subfolders:
        path = here / name
        read = read_repeats(name) if at_root else None
        if name.startswith("."):
            continue
        if path.is_symlink():
            problems.append(Problem("link", name_of(path), path, "a linked folder; not followed."))
        elif read and read[0] < 1:
            message = f"{read[0]} repeats: the folder is left out, as kohya's trainer does."
            problems.append(Problem("folder", name_of(path), path, message))
        else:
            yield name


def _group(here: Path, root: Path, default: tuple[str, int]) -> tuple[str, int]:
    parts = PurePosixPath(here.relative_to(root).as_posix()).parts
    if not parts:
        return default
    read = read_repeats(parts[0])
    if read:
        return printable(parts[0]), read[0]
    return printable("/".join(parts)), default[1]
