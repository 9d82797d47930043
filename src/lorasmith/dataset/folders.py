"""What lies in a folder of images: pictures, captions, `N_name` folders, and what has no place there."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lorasmith.images.opening import is_image_name

CAPTION_EXTENSION = ".txt"
CAPTION_EXTENSIONS = (CAPTION_EXTENSION, ".caption")
"""The first is ours and goes before the second, which is the default of kohya's trainer."""

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
NameOf = Callable[[Path], str]


DEADLY = "deadly"


@dataclass(frozen=True)
class Problem:
    """Something in a folder that could not be used; `kind` is "unreadable", "caption", "link" or "folder", or DEADLY
    for an image that ends processes."""

    kind: str
    name: str
    path: Path
    message: str


@dataclass(frozen=True)
class Found:
    """The files below one root, by their places; nothing was opened. Sorted by name; `others` are neither pictures
    nor captions."""

    images: tuple[Place, ...]
    captions: tuple[Place, ...]
    problems: tuple[Problem, ...]
    others: tuple[Place, ...] = ()


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


def find_files(root: Path, prefix: str = "", leave_out: Collection[Path] = (), *, follow_links: bool = False) -> Found:
    """Every picture and caption below `root`, hidden ones and the folders `leave_out` aside; `prefix` goes before
    each name.

    A direct child `N_name` gives its repeats to all that is in it, at any depth (kohya's trainer reads no deeper
    than the child); all else counts once, or as often as the root's own name says. Links that lead out of the
    root, and linked folders, are listed as problems and not followed, unless `follow_links`.
    """
    own = read_repeats(root.name)
    default = (root.name, own[0]) if own and own[0] >= 1 and own[1] else ("", 1)
    real_root = root.resolve()
    images: list[Place] = []
    captions: list[Place] = []
    others: list[Place] = []
    problems: list[Problem] = []

    def name_of(path: Path) -> str:
        return printable(prefix + path.relative_to(root).as_posix())

    def unreadable(fault: OSError) -> None:
        path = Path(os.fsdecode(fault.filename))
        problems.append(Problem("folder", name_of(path), path, f"cannot be opened: {fault.strerror}."))

    walked = {real_root} if follow_links else None
    for folder, subfolders, files in os.walk(root, onerror=unreadable, followlinks=follow_links):
        here = Path(folder)
        ours = [name for name in subfolders if here / name not in leave_out]
        subfolders[:] = sorted(_usable(here, ours, here == root, name_of, problems, walked))
        group, repeats = _group(here, root, default)
        for path in (here / file for file in sorted(files) if not file.startswith(".")):
            place = Place(path, name_of(path), group, repeats)
            if path.suffix.lower() in CAPTION_EXTENSIONS:
                listed = captions
            else:
                listed = images if is_image_name(path) else others
            if listed is not others and (reason := _why_not(path, None if follow_links else real_root)):
                problems.append(Problem("link" if path.is_symlink() else "unreadable", place.name, path, reason))
            else:
                listed.append(place)
    return Found(_by_name(images), _by_name(captions), tuple(problems), _by_name(others))


def composed(path: Path | str) -> str:
    """The form in which two paths are equal that differ only in how an accent is written (NFC)."""
    return unicodedata.normalize("NFC", str(path))


def picture_of(caption: Path) -> str | None:
    """The name of the picture whose whole name a caption file carries, as gallery-dl's tag writer names it
    ("a.jpg.txt": "a.jpg"); None for others."""
    return caption.stem if is_image_name(Path(caption.stem)) else None


def printable(text: str) -> str:
    """`text` so that it can be shown and stored, and still differs from every other: bytes that are no UTF-8, control
    characters and what turns the direction of writing are spelt out, and so is the backslash that does it."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(_spelt(letter) for letter in text)


def _spelt(letter: str) -> str:
    if letter == "\\":
        return "\\\\"
    if "\udc80" <= letter <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    if unicodedata.category(letter) in ("Cc", "Zl", "Zp", "Cs") or letter in _TURNING:
        return f"\\x{ord(letter):02x}" if ord(letter) < 0x80 else f"\\u{ord(letter):04x}"
    return letter


def _by_name(places: list[Place]) -> tuple[Place, ...]:
    return tuple(sorted(places, key=lambda place: place.name))


def _why_not(path: Path, root: Path | None) -> str | None:
    """Why a file below `root` is not for reading: a link out of the root (None: may lead anywhere), a pipe, a socket, a
    device."""
    if path.is_symlink():
        try:
            inside = root is None or path.resolve().is_relative_to(root)
        except (OSError, RuntimeError):  # a loop
            return "a link that leads to itself."
        if not inside:
            return "a link that leads out of the folder; not followed."
        if not path.exists():
            return "a link that leads nowhere."
    return None if path.is_file() else "not a file that can be read from its start."


def _usable(
    here: Path, subfolders: list[str], at_root: bool, name_of: NameOf, problems: list[Problem], walked: set[Path] | None
) -> Iterator[str]:
    """The folders to go into; linked ones only with `walked`, the real folders that were gone into, each once."""
    for name in subfolders:
        path = here / name
        read = read_repeats(name) if at_root else None
        if name.startswith("."):
            continue
        if path.is_symlink() and (walked is None or path.resolve() in walked or here.is_relative_to(path.resolve())):
            problems.append(Problem("link", name_of(path), path, "a linked folder; not followed."))
        elif read and read[0] < 1:
            message = f"{read[0]} repeats: the folder is left out, as kohya's trainer does."
            problems.append(Problem("folder", name_of(path), path, message))
        else:
            if walked is not None:
                walked.add(path.resolve())
            yield name


def _group(here: Path, root: Path, default: tuple[str, int]) -> tuple[str, int]:
    parts = PurePosixPath(here.relative_to(root).as_posix()).parts
    if not parts:
        return default
    read = read_repeats(parts[0])
    if read:
        return printable(parts[0]), read[0]
    return printable("/".join(parts)), default[1]
