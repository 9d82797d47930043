"""Lists of the library, one file of it, and files that are there twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.commands.library.arguments import (
    AlgorithmOption,
    AsJson,
    CollectionOption,
    FamilyOption,
    FavouriteOption,
    FolderOption,
    KindOption,
    LimitOption,
    MineOption,
    Name,
    OrderOption,
    PageOption,
    RatingOption,
    SafeOption,
    SizeOption,
    SourceOption,
    StateOption,
    TagOption,
    TriggerOption,
    choice,
    find_entries,
    open_library,
    read_size,
)
from lorasmith.cli.commands.library.get import AfterOption, BaseOption, HubOption, MatureOption, look_on_hub
from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import draw, print_json, say
from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from lorasmith.library.entry import Filters, LibraryEntry, Page

KINDS = ("adapter", "base", "other")
STATES = ("here", "gone", "away")
_SHOWN_TAGS = 20


def list_files(
    family: FamilyOption = "",
    kind: KindOption = "adapter",
    algorithm: AlgorithmOption = "",
    trigger: TriggerOption = "",
    tag: TagOption = "",
    source: SourceOption = "",
    collection: CollectionOption = "",
    folder: FolderOption = None,
    size: SizeOption = "",
    rating: RatingOption = 0,
    mine: MineOption = False,
    favourite: FavouriteOption = False,
    safe: SafeOption = False,
    state: StateOption = "here",
    broken: Annotated[bool, typer.Option("--broken", help="What cannot be used, and why.")] = False,
    order: OrderOption = None,
    page: PageOption = 1,
    limit: LimitOption = 100,
    as_json: AsJson = False,
) -> None:
    """List the files of the library, with any filters.

    Example: lorasmith library list --family sdxl --mine
    """
    filters = _filters(family, "any" if broken and kind == "adapter" else kind, algorithm, trigger, tag, source, state)
    filters = _more(filters, collection, folder, size, rating, mine, favourite, safe, broken)
    _list(filters, order, page, limit, as_json)


def search(
    words: Annotated[
        list[str], typer.Argument(metavar="WORDS...", help="In names, triggers, tags, notes.", show_default=False)
    ],
    family: FamilyOption = "",
    kind: KindOption = "any",
    algorithm: AlgorithmOption = "",
    trigger: TriggerOption = "",
    tag: TagOption = "",
    source: SourceOption = "",
    collection: CollectionOption = "",
    folder: FolderOption = None,
    size: SizeOption = "",
    rating: RatingOption = 0,
    mine: MineOption = False,
    favourite: FavouriteOption = False,
    safe: SafeOption = False,
    state: StateOption = "here",
    order: OrderOption = None,
    page: PageOption = 1,
    limit: LimitOption = 20,
    hub: HubOption = "",
    base: BaseOption = "",
    after: AfterOption = "",
    mature: MatureOption = False,
    as_json: AsJson = False,
) -> None:
    """Search names, triggers, tags, notes and descriptions; the best come first.

    Every word must be there, the beginning of it is enough; words in quotes stand together. With --hub a hub is looked
    through instead.

    Example: lorasmith library search red hat --family sdxl
    """
    if hub:
        look_on_hub(hub, " ".join(words), base, order or "", limit, after, mature, as_json)
        return
    filters = _filters(family, kind, algorithm, trigger, tag, source, state, " ".join(words))
    filters = _more(filters, collection, folder, size, rating, mine, favourite, safe, False)
    _list(filters, order, page, limit, as_json)


def _filters(
    family: str, kind: str, algorithm: str, trigger: str, tag: str, source: str, state: str, words: str = ""
) -> Filters:
    from lorasmith.library.entry import Filters

    return Filters(
        words=words,
        kind=choice("kind", kind, KINDS),
        state=choice("state", state, STATES),
        family=family,
        algorithm=algorithm,
        trigger=trigger,
        tag=tag,
        source="" if source == "none" else source,
        unlabelled=source == "none",
    )


def _more(
    filters: Filters,
    collection: str,
    folder: Path | None,
    size: str,
    rating: int,
    mine: bool,
    favourite: bool,
    safe: bool,
    broken: bool,
) -> Filters:
    from dataclasses import replace

    smallest, largest = read_size(size)
    return replace(
        filters,
        collection=collection,
        folder="" if folder is None else str(folder),
        smallest=smallest,
        largest=largest,
        rating=rating,
        mine=mine,
        favourite=favourite,
        mature=not safe,
        broken=broken,
    )


def _list(filters: Filters, order: str | None, page: int, limit: int, as_json: bool) -> None:
    from lorasmith.library.entry import ORDERS

    if order is not None and order not in ORDERS:
        raise UsageError(f"--order {order}: unknown.", hint=f"Known: {', '.join(ORDERS)}.")
    with open_library() as library:
        found = library.entries(filters, (page - 1) * limit, limit, order)
    if as_json:
        document = {"total": found.total, "more": found.more, "refused": found.refused, "page": page}
        print_json(document | {"entries": [entry.as_json() for entry in found.entries]})
        return
    if not found.entries:
        say("nothing is there." if found.total == 0 else f"page {page} is behind the last one.")
    else:
        _draw_entries(found.entries, broken=filters.broken)
    _say_rest(found, page, limit)


def _say_rest(found: Page, page: int, limit: int) -> None:
    if found.total > len(found.entries):
        first = (page - 1) * limit
        many = f"more than {found.total}" if found.more else str(found.total)
        say(f"{first + 1} to {first + len(found.entries)} of {many}; the next ones: --page {page + 1}")
    if found.refused:
        say(f"{found.refused} not shown: refused, they combine minors with sexual content.", "yellow")


def _draw_entries(entries: Sequence[LibraryEntry], broken: bool) -> None:
    from rich.table import Table

    from lorasmith.cli.console import plain

    table = Table("name", "family", "algorithm", "rank", "MB", "reason" if broken else "triggers", "", box=None)
    for entry in entries:
        stars = ("*" * (entry.rating or 0)) + (" favourite" if entry.favourite else "")
        said = entry.problem if broken else "; ".join(entry.triggers[:3])
        table.add_row(
            plain(entry.name),
            plain(entry.family or ("unknown" if entry.kind == "adapter" else "")),
            plain(", ".join(entry.algorithms) or entry.kind),
            str(entry.rank or ""),
            f"{entry.size / 1e6:.1f}",
            plain(said if len(said) <= 160 else f"{said[:160]} ..."),
            plain(" ".join(word for word in (stars.strip(), "" if entry.state == "here" else entry.state) if word)),
        )
    draw(table, soft_wrap=True)


def show_file(name: Name, as_json: AsJson = False) -> None:
    """Show all that is known of a file: what it is, what calls it, its hashes, your notes.

    Example: lorasmith library show zbk
    """
    with open_library() as library:
        found = find_entries(library, name)
    if as_json:
        print_json({"entries": [entry.as_json() for entry in found]})
        return
    for number, entry in enumerate(found):
        say(("" if number == 0 else "\n") + "\n".join(_lines(entry)))
    first = found[0]
    if first.kind == "adapter":
        words = ", ".join(first.triggers[:1])
        call = f"{words}{' ' if words else ''}<lora:{first.name}:{first.strength or 1:g}>"
        say(f"next:    {program()} generate {typed(call)}")


def _lines(entry: LibraryEntry) -> list[str]:
    tags = ", ".join(f"{tag} ({count})" if count else tag for tag, count in entry.tags[:_SHOWN_TAGS])
    rows: list[tuple[str, Any]] = [
        ("name", entry.name + (f" (recorded as {entry.alias})" if entry.alias not in ("", entry.name) else "")),
        ("title", entry.title),
        ("path", entry.path),
        ("state", "" if entry.state == "here" else entry.state),
        ("family", entry.family or (f"unknown: {entry.reason}" if entry.kind == "adapter" else entry.reason)),
        ("algorithm", ", ".join(entry.algorithms)),
        ("rank", entry.rank),
        ("made on", entry.base),
        ("triggers", "; ".join(entry.triggers)),
        ("strength", entry.strength),
        ("tags", tags),
        ("training", ", ".join(f"{key} {value}" for key, value in entry.facts.items() if key != "base")),
        ("exam", "" if entry.exam is None else entry.exam.get("verdict")),
        ("from", "" if entry.hub is None else " ".join((entry.hub.source, entry.hub.model_id, entry.hub.version_id))),
        ("problem", entry.problem),
        ("size", f"{entry.size:,} bytes"),
        *entry.hashes.items(),
        ("preview", entry.preview),
        ("sidecars", ", ".join(entry.sidecars)),
        ("collections", ", ".join(entry.collections)),
        ("rating", entry.rating),
        ("favourite", "yes" if entry.favourite else ""),
        ("notes", entry.notes),
        ("description", entry.description),
    ]
    return [f"{label:<12} {value}" for label, value in rows if value not in ("", None)]


def dups(as_json: AsJson = False) -> None:
    """List files that are there more than once, and the same weights under other headers.

    Nothing is deleted: which of them goes is yours to say.

    Example: lorasmith library dups
    """
    with open_library() as library:
        same, alike = library.duplicates()
        unhashed = library.unhashed()
    if as_json:
        groups = {"same": same, "same_weights": alike}
        document = {name: [[entry.as_json() for entry in group] for group in each] for name, each in groups.items()}
        print_json(document | {"unhashed": unhashed})
        return
    for title, groups_ in (("the same file", same), ("the same weights under other headers", alike)):
        for group in groups_:
            say(f"{title}, {group[0].size / 1e6:.1f} MB each:")
            for entry in group:
                say(f"  {typed(entry.path)}")
    if not same and not alike:
        say("nothing is there twice.")
    if unhashed:
        say(f"{unhashed} files have no hash yet and were not compared.")
        say(f"next:    {program()} library scan")
