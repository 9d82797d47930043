"""lorasmith inspect"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.cluster import ClusterOption
from lorasmith.cli.program import program, typed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lorasmith.dataset.findings import Finding
    from lorasmith.dataset.inspection import Inspection
    from lorasmith.dataset.reading import Dataset
    from lorasmith.project import Project

_SHOWN_PER_RULE = 6
_WORTH_TELLING = 5.0  # seconds
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def command(
    project: Annotated[Path, typer.Argument(help="The project's folder.", show_default=False)],
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a page with the pictures, to be opened in a browser.", show_default=False
        ),
    ] = None,
    adapters: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Where your other adapters are: their triggers must be others (T2). [default: ./adapters if there]",
            show_default=False,
        ),
    ] = None,
    cluster: ClusterOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Look at the images and say what is wrong and what to do.

    Ends with status 1 while an error stands that is not waived in lora.toml. Nothing of yours is changed.

    Example: lorasmith inspect my-lora --html look.html
    """
    from lorasmith.cli.rendering import draw, print_json, say, show
    from lorasmith.events import StageClock
    from lorasmith.face.stages import inspect_images
    from lorasmith.pools.choosing import dealt_out
    from lorasmith.project import open_project

    opened, clock = open_project(project), StageClock()
    with dealt_out(cluster):
        dataset, inspection = show(clock.watch(inspect_images(opened, _find_adapters(adapters))), json)
    page = _write_page(opened, dataset, inspection, html.expanduser()) if html else None
    if json:
        print_json(inspection.as_json() | ({"page": page} if page else {}))
    else:
        draw(draw_inspection(opened, dataset, inspection, project))
        if sum(clock.seconds.values()) >= _WORTH_TELLING:
            say(f"It took {clock.tell()}.\n", style="dim")
        _say_next(project, inspection, page)
    if not inspection.passed:
        raise typer.Exit(1)


def _write_page(project: Project, dataset: Dataset, inspection: Inspection, target: Path) -> Path:
    from lorasmith.dataset.page import write_page

    return write_page(project, dataset, inspection, target)


def _find_adapters(given: list[Path] | None) -> list[Path]:
    """The folders given, each of which must exist; else ./adapters if there is one. Raises UsageError."""
    from lorasmith.errors import UsageError

    if not given:
        default = Path("adapters")
        return [default] if default.is_dir() else []
    folders = [folder.expanduser() for folder in given]
    for folder in folders:
        if not folder.exists():
            raise UsageError(f"--adapters {folder}: no such folder.", hint="Name the folder of your adapters.")
    return folders


def _say_next(project: Path, inspection: Inspection, page: Path | None) -> None:
    from shlex import quote

    from lorasmith.cli.rendering import count_images, say
    from lorasmith.images.keypoints import can_see

    root = quote(str(project))
    lines = [] if page is None else [f"Written: {page}   open it in a browser"]
    lines.append("Next:")
    going = len(inspection.removable)
    if going:
        lines.append(
            f"  {program()} curate auto {typed(root)} --dry-run    "
            f"what can be taken out without asking: {count_images(going)}"
        )
    if not can_see():
        lines.append('  pip install "lorasmith[vision]"    to find pictures that were cut out of others, too')
    if page is None and inspection.findings:
        lines.append(f"  {program()} inspect {typed(root)} --html look.html    all this with the pictures")
    if inspection.passed:
        lines.append(f"  {program()} tag {typed(root)}    the captions, and what shaped them")
        lines.append(f"  {program()} train {typed(root)}    train the adapter")
    say("\n".join(lines) + "\n")


def draw_inspection(project: Project, dataset: Dataset, inspection: Inspection, folder: Path) -> RenderableType:
    """The inspection for a person: what there is, what is wrong with the worst first, what to do next.

    `folder` is the project as the user named it, for the commands in the advice.
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table

    from lorasmith.cli.console import plain

    parts: list[RenderableType] = [plain(""), plain(_headline(project, dataset), style="bold"), plain("")]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    total = Counter(finding.rule for finding in inspection.findings)
    shown: Counter[str] = Counter()
    for finding in inspection.findings:
        shown[finding.rule] += 1
        if shown[finding.rule] <= _SHOWN_PER_RULE:
            table.add_row(plain(finding.rule, style="bold"), _level(finding), _body(finding, folder))
        elif shown[finding.rule] == _SHOWN_PER_RULE + 1:
            more = total[finding.rule] - _SHOWN_PER_RULE
            table.add_row(plain(finding.rule, style="bold"), "", f"... and {more} more; see --json")
    if inspection.findings:
        parts += [Padding(table, (0, 0, 0, 1)), plain("")]
    parts.append(_summary(inspection))
    return Group(*parts)


def _headline(project: Project, dataset: Dataset) -> str:
    from lorasmith.cli.rendering import count_images

    items = dataset.items
    sides = [(item.facts.width, item.facts.height) for item in items]
    smallest, largest = min(sides, key=_area), max(sides, key=_area)
    captioned = sum(1 for item in items if item.caption)
    size = f"{smallest[0]}x{smallest[1]}"
    if largest != smallest:
        size += f" to {largest[0]}x{largest[1]}"
    counts = f"{count_images(len(items))}, {captioned} with captions"
    return f"{project.lora.name} ({project.lora.subject.value}): {counts}, {size} pixels"


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _level(finding: Finding) -> RenderableType:
    from lorasmith.cli.console import plain

    if finding.waived is not None:
        return plain("waived", style="dim")
    return plain(finding.level, style=_STYLES[finding.level])


def _body(finding: Finding, folder: Path) -> RenderableType:
    from lorasmith.cli.console import plain

    message = finding.sentence
    unnamed = [name for name in finding.images if name not in message]
    if unnamed:
        message = f"{message.rstrip('.')} ({', '.join(unnamed[:4])}{', ...' if len(unnamed) > 4 else ''})"
    text = plain(message, style="dim" if finding.waived is not None else "")
    if finding.waived is not None:
        text.append_text(plain(f"\n{finding.waived}", "dim italic"))
    else:
        text.append_text(plain(f"\n-> {finding.advice_on(folder)}", "dim"))
    return text


def _summary(inspection: Inspection) -> RenderableType:
    from lorasmith.cli.console import plain

    standing = Counter(finding.level for finding in inspection.findings if finding.waived is None)
    waived = sum(1 for finding in inspection.findings if finding.waived is not None)
    counts = [
        f"{count} {level}{'' if count == 1 else 's'}"
        for level in ("error", "warning", "note")
        if (count := standing[level])
    ]
    if waived:
        counts.append(f"{waived} waived")
    text = plain(f"{', '.join(counts)}. " if counts else "Nothing to complain about. ", style="bold")
    if not inspection.passed:
        text.append("Mend the errors first, or waive a rule in lora.toml: ", style="bold red")
        rule = next(finding.rule for finding in inspection.findings if finding.level == "error")
        return text.append(f'[dataset] waive = {{ {rule} = "your reason" }}\n')
    if standing["warning"]:
        return text.append("It can be trained; mending the warnings makes it better.", style="yellow")
    return text.append("Ready to train.", style="green")
