"""What the commands of `lorasmith curate` take, and how they choose images and record what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.curation import decision_json, name_some
from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import count_images, print_json, say, show
from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from lorasmith.dataset.decisions import Decision
    from lorasmith.dataset.reading import Dataset, Item
    from lorasmith.images.crops import Box
    from lorasmith.project import Project

Folder = Annotated[Path, typer.Argument(metavar="PROJECT", help="The project's folder.", show_default=False)]
Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE...", help='Names, ends of paths, or patterns such as "2_side/*".', show_default=False
    ),
]
Picture = Annotated[str, typer.Argument(metavar="IMAGE", help="Its name, or the end of its path.", show_default=False)]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the decision.")]
Reset = Annotated[bool, typer.Option("--reset", help="Take the decision back for these images.")]
Boxes = Annotated[
    list[str] | None,
    typer.Option("--box", metavar="X,Y,W,H", help="A part, in pixels from the upper left corner.", show_default=False),
]
Seed = Annotated[int, typer.Option("--seed", help="Another seed makes other copies.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be decided, and decide nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def choose(project: Path, images: Sequence[str], as_json: bool) -> tuple[Project, Dataset, tuple[Item, ...]]:
    from lorasmith.dataset.reading import read_all
    from lorasmith.dataset.selection import select_images
    from lorasmith.project import open_project

    opened = open_project(project)
    dataset = show(read_all(opened), as_json)
    return opened, dataset, select_images(dataset, images)


def record_decisions(
    opened: Project,
    project: Path,
    decisions: Sequence[Decision],
    done: str,
    chosen: Sequence[Item],
    as_json: bool,
    following: str = "",
) -> None:
    """Record, and say what is `done` to the `chosen` images."""
    from lorasmith.dataset.decisions import record

    written = record(opened, decisions)
    if as_json:
        print_json({"decisions": [decision_json(decision) for decision in written]})
        return
    say(f"{count_images(len(chosen))} {done}: {name_some([item.name for item in chosen])}", style="green")
    following = following or f"inspect {typed(project)}"
    say(f"Undo: {program()} curate undo {typed(project)}   Next: {program()} {following}")


def read_box(text: str) -> Box:
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f'--box "{text}": not four whole numbers.', hint="Write --box X,Y,W,H in pixels.") from None
    if left < 0 or top < 0 or width < 1 or height < 1:
        raise UsageError(f'--box "{text}": nothing is there.', hint="Write --box X,Y,W,H in pixels.")
    return left, top, left + width, top + height
