"""What several commands of the library take, and the library itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from lorasmith.library.entry import LibraryEntry
    from lorasmith.library.index import LibraryIndex

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A file's name, alias, path, hash or trigger.", show_default=False)
]
FamilyOption = Annotated[str, typer.Option(metavar="FAMILY", help="Of this family of bases.", show_default=False)]
KindOption = Annotated[str, typer.Option(help="adapter, base, other or any.")]
AlgorithmOption = Annotated[str, typer.Option(metavar="NAME", help="lora, lokr, dora ...", show_default=False)]
TriggerOption = Annotated[str, typer.Option(metavar="WORDS", help="Called by this trigger.", show_default=False)]
TagOption = Annotated[str, typer.Option(metavar="TAG", help="Trained on this tag.", show_default=False)]
SourceOption = Annotated[str, typer.Option(help="civitai, huggingface or none: from there.", show_default=False)]
CollectionOption = Annotated[str, typer.Option(metavar="NAME", help="In this collection.", show_default=False)]
FolderOption = Annotated[Path | None, typer.Option(metavar="DIR", help="Below this folder.", show_default=False)]
SizeOption = Annotated[
    str, typer.Option(metavar="FROM-TO", help="Of so many megabytes: 20-200, 100-, -50.", show_default=False)
]
RatingOption = Annotated[int, typer.Option(metavar="1-5", help="Rated so or better.", show_default=False)]
MineOption = Annotated[bool, typer.Option("--mine", help="Only what was trained here.")]
FavouriteOption = Annotated[bool, typer.Option("--favourite", help="Only favourites.")]
SafeOption = Annotated[bool, typer.Option("--safe", help="Nothing that a hub calls mature.")]
StateOption = Annotated[str, typer.Option(help="here, gone, away or any.")]
OrderOption = Annotated[str | None, typer.Option(help="By name, added, changed, size or rating.", show_default=False)]
PageOption = Annotated[int, typer.Option(metavar="N", min=1, help="Which page.")]
LimitOption = Annotated[int, typer.Option(metavar="N", min=1, max=10000, help="Entries a page.")]
_SIZE = re.compile(r"(\d+(?:\.\d+)?)?-(\d+(?:\.\d+)?)?")
_MEGABYTE = 1_000_000


def open_library() -> LibraryIndex:
    """The user's library. Raises UsageError where there is none yet."""
    from lorasmith.library.index import LibraryIndex
    from lorasmith.remedies import Action, Do

    library = LibraryIndex.existing()
    if library is None:
        raise UsageError("there is no library yet.", hint="Make one:", remedy=Do(Action.SCAN, folder="FOLDER"))
    return library


def find_entries(library: LibraryIndex, name: str) -> list[LibraryEntry]:
    """The files of a name, of any kind. Raises UsageError where there is none."""
    from lorasmith.remedies import Action, Do

    found = library.find(name, kind="") or library.find_hash(name)
    if not found:
        near = [entry.name for entry in library.near(name)]
        hint = f"Did you mean {' or '.join(near)}?" if near else "Look for it by words:"
        search = None if near else Do(Action.SEARCH, words="WORDS")
        raise UsageError(f'"{name}" is not in the library.', hint=hint, remedy=search)
    return found


def read_size(text: str) -> tuple[int, int]:
    """``20-200`` megabytes as bytes; 0 for no bound. Raises UsageError."""
    if not text:
        return 0, 0
    found = _SIZE.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise UsageError(f'--size "{text}" is not understood.', hint="Write megabytes: 20-200, 100- or -50.")
    smallest, largest = (round(float(each) * _MEGABYTE) if each else 0 for each in found.groups())
    return smallest, largest


def choice(option: str, given: str, known: tuple[str, ...]) -> str:
    """A word that is one of those known; "any" is "". Raises UsageError."""
    if given not in (*known, "any"):
        raise UsageError(f"--{option} {given}: unknown.", hint=f"Known: {', '.join((*known, 'any'))}.")
    return "" if given == "any" else given
