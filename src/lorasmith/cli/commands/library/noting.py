"""What a user keeps of his files: notes, ratings, collections; and what shall be known no more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.commands.library.arguments import AsJson, Name, find_entries, open_library
from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import print_json, say
from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from lorasmith.library.entry import LibraryEntry
    from lorasmith.library.index import LibraryIndex

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Names, hashes or triggers.", show_default=False)
]


def notes(
    name: Name,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="What to note; shown if none.", show_default=False)
    ] = None,
    rating: Annotated[
        int | None, typer.Option(metavar="0-5", help="Your rating; 0 for none.", show_default=False)
    ] = None,
    favourite: Annotated[
        bool | None, typer.Option("--favourite/--no-favourite", help="A favourite, or not.", show_default=False)
    ] = None,
    sidecar: Annotated[
        bool, typer.Option("--sidecar", help="Write notes and triggers beside the file too, where A1111 reads them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show or keep notes, a rating, a favourite; they go with the file when it is moved or renamed.

    Example: lorasmith library notes zbk "best at 0.7" --rating 4 --favourite
    """
    with open_library() as library:
        found = find_entries(library, name)
        if text is not None or rating is not None or favourite is not None:
            library.note(found, notes=text, rating=rating, favourite=favourite)
            found = [entry for each in found if (entry := library.entry(each.path)) is not None]
        written = [_write_sidecar(entry) for entry in found] if sidecar else []
    if as_json:
        print_json({"entries": [entry.as_json() for entry in found], "written": list(map(str, written))})
        return
    for entry in found:
        stars = f" {'*' * entry.rating}" if entry.rating else ""
        say(f"{entry.name}{stars}{' favourite' if entry.favourite else ''}: {entry.notes or 'no notes.'}")
    for path in written:
        say(f"Written: {typed(path)}")


def _write_sidecar(entry: LibraryEntry) -> Path:
    from lorasmith.library.sidecars.beside import write_a1111
    from lorasmith.library.sidecars.sidecar import SidecarFacts

    facts = SidecarFacts(triggers=entry.triggers[:1], notes=entry.notes, strength=entry.strength)
    return write_a1111(entry.path, facts)


def collect(
    collection: Annotated[
        str | None, typer.Argument(metavar="[COLLECTION]", help="Its name; all are listed if none.", show_default=False)
    ] = None,
    names: Names = None,
    out: Annotated[bool, typer.Option("--out", help="Take them out of it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put files into a collection, take them out, or list collections.

    Example: lorasmith library collect styles zbk inkwash
    """
    with open_library() as library:
        if collection is not None and names:
            entries = [entry for name in names for entry in find_entries(library, name)]
            library.collect(collection, entries, out)
        known = library.collections()
    if as_json:
        print_json({"collections": known})
    elif collection is None:
        for name, count in known.items():
            say(f"{name}: {_count(count)}")
        if not known:
            say("no collection yet.")
            say(f"next:    {program()} library collect COLLECTION NAME")
    else:
        say(f"{collection}: {_count(known.get(collection, 0))}")
        say(f"next:    {program()} library list --collection {typed(collection)}")


def forget(
    names: Names = None,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Know this folder no more.", show_default=False)
    ] = None,
    gone: Annotated[bool, typer.Option("--gone", help="All files that are gone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Know files no more, with what was noted of them; the files themselves stay.

    What was noted is added to a file beside the library, which is named.

    Example: lorasmith library forget --gone
    """
    if not names and folder is None and not gone:
        raise UsageError("nothing to forget.", hint="Give NAMES, --folder DIR, or --gone.")
    with open_library() as library:
        entries = _meant(library, names or [], folder, gone)
        kept = library.forget(entries)
        if folder is not None:
            library.forget_folder(folder)
    if as_json:
        print_json({"forgotten": [str(entry.path) for entry in entries], "notes": None if kept is None else str(kept)})
        return
    say(f"{_count(len(entries))} forgotten; the files stay where they are.")
    if kept is not None:
        say(f"Their notes: {typed(kept)}")


def _meant(library: LibraryIndex, names: list[str], folder: Path | None, gone: bool) -> list[LibraryEntry]:
    from lorasmith.library.entry import Filters

    found = [entry for name in names for entry in find_entries(library, name)]
    if gone:
        found += list(library.every(Filters(kind="", state="gone")))
    if folder is not None:
        whole = folder.expanduser().absolute()
        found += [entry for entry in library.every(Filters(kind="", state="")) if entry.folder == whole]
    return list({entry.id: entry for entry in found}.values())


def _count(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"
