"""lorasmith tag"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lorasmith.dataset.reading import Dataset
    from lorasmith.project import Project
    from lorasmith.tags.building import Change
    from lorasmith.tags.pipeline import Captioning, Explanation

_SHOWN = 12


def command(
    project: Annotated[Path, typer.Argument(help="The project's folder.", show_default=False)],
    tagger: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help='Tag images without a caption: a folder with model.onnx and selected_tags.csv, or "doodle".',
            show_default=False,
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", "--build", help="Write build/dataset/ as a trainer reads it.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show what would change, and change nothing.")] = False,
    explain: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Show what each rule did to one image's tags.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write the captions by the project's tag rules.

    Captions are computed from your own .txt files, or from a tagger's tags where there is none; your files are
    never changed.

    Example: lorasmith tag my-lora --explain 01.png
    """
    from lorasmith.cli.rendering import print_json, say, show
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.errors import UsageError
    from lorasmith.project import open_project
    from lorasmith.tags.building import build_dataset, compare_captions
    from lorasmith.tags.pipeline import explain_caption, write_captions

    if (explain is not None) + diff + write > 1:
        raise UsageError("--explain, --diff and --write do not go together.", hint="Give one of them.")
    opened = open_project(project)
    dataset = show(read_dataset(opened), json)
    if tagger is not None:
        _run_tagger(opened, dataset, tagger, json)
    if explain is not None:
        explanation = explain_caption(opened, dataset, explain)
        print_json(explanation.as_json()) if json else _show_explanation(explanation)
        return
    captioning = write_captions(opened, dataset)
    if diff:
        changes = compare_captions(opened, dataset, captioning)
        if json:
            listed = [{"path": change.image, "before": change.before, "after": change.after} for change in changes]
            print_json({"changes": listed, "rules": captioning.as_json()["rules"]})
        else:
            _show_changes(changes)
        return
    built = build_dataset(opened, dataset, captioning) if write else None
    if json:
        print_json(captioning.as_json() | ({"built": built} if built else {}))
        return
    _show_captions(captioning)
    if built:
        say(f"\nWritten: {built}", style="green")
        say(f"Next: lorasmith plan {project}   then: lorasmith train {project}")
    else:
        say(f"\nWhy is a tag there, or not? lorasmith tag {project} --explain IMAGE")
        say(f"Next: lorasmith train {project}   (other trainers: lorasmith tag {project} --write)")


def _run_tagger(project: Project, dataset: Dataset, tagger: str, json: bool) -> None:
    from lorasmith.cli.rendering import say, show
    from lorasmith.project import EMBEDDED
    from lorasmith.tags.tagger import open_tagger, tag_images

    if tagger == EMBEDDED and not Path(tagger).is_dir():
        from lorasmith.bases.doodle import tagger_folder

        folder = tagger_folder()
    else:
        folder = Path(tagger).expanduser()
    count = show(tag_images(project, dataset, open_tagger(folder)), json)
    if not json:
        say(f"{count} {'image' if count == 1 else 'images'} tagged.")


def _show_captions(captioning: Captioning) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("image", style="cyan")
    table.add_column("caption")
    for name, caption in list(captioning.captions.items())[:_SHOWN]:
        table.add_row(Text(name), Text(caption))
    console.print(table)
    rest = len(captioning.captions) - _SHOWN
    if rest > 0:
        console.print(f"... and {rest} more; all of them with --json", style="dim")
    effects = ", ".join(f"{rule.name} {rule.changed}" for rule in captioning.rules if rule.changed)
    console.print(f"\nCaptions changed by rule: {effects or 'none'}", markup=False)


def _show_changes(changes: tuple[Change, ...]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for change in changes[:_SHOWN]:
        console.print(Text(change.image, style="cyan"))
        console.print(Text(f"  - {change.before}", style="red"))
        console.print(Text(f"  + {change.after}", style="green"))
    if len(changes) > _SHOWN:
        console.print(f"... and {len(changes) - _SHOWN} more; all of them with --json", style="dim")
    console.print(f"{len(changes)} captions would change." if changes else "No caption would change.")


def _show_explanation(explanation: Explanation) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    origins = {
        "caption": "its own caption",
        "tagger": "the tagger",
        "folder": "its folder's name",
        "none": "nothing: it has neither caption nor tags",
    }
    styles = {"kept": "", "dropped": "red", "added": "green", "changed": "yellow"}
    console = Console(highlight=False)
    console.print(Text(f"{explanation.image}: tags from {origins[explanation.source]}", style="bold"))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 1))
    for fate in explanation.tags:
        tag = fate.tag if fate.became is None else f"{fate.tag} -> {fate.became}"
        table.add_row(Text(fate.fate, style=styles[fate.fate]), Text(tag), fate.rule, Text(fate.why, style="dim"))
    console.print(table)
    console.print(Text(f"= {explanation.caption}", style="bold"))
