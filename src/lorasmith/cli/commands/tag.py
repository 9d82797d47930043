"""lorasmith tag"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.cluster import ClusterOption
from lorasmith.cli.program import program, typed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lorasmith.dataset.reading import Dataset
    from lorasmith.face.stages import Gathered
    from lorasmith.project import Project


def command(
    project: Annotated[Path, typer.Argument(help="The project's folder.", show_default=False)],
    tagger: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help='Run a tagger first: its folder, "doodle", or a hub id such as SmilingWolf/wd-vit-tagger-v3.',
            show_default=False,
        ),
    ] = None,
    imported: Annotated[
        Path | None,
        typer.Option(
            "--import",
            metavar="FILE",
            help="Take over existing tags first: a folder of .txt or .caption, a JSON, JSONL or CSV file.",
            show_default=False,
        ),
    ] = None,
    captioner: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND|URL",
            help="Run a program first that prints a caption for a path, or ask an endpoint of OpenAI's chat API.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Pictures may leave this machine for the captioner.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Tag and caption what was done before, too.")] = False,
    write: Annotated[
        bool, typer.Option("--write", "--build", help="Write build/dataset/ as a trainer reads it.")
    ] = False,
    archive: Annotated[
        Path | None,
        typer.Option("--zip", metavar="FILE|URL", help="Write it, and pack it for hub trainers.", show_default=False),
    ] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show what would change, and change nothing.")] = False,
    explain: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Show what each rule did to one image's tags.", show_default=False),
    ] = None,
    table: Annotated[bool, typer.Option("--table", help="Show how often each tag stands where.")] = False,
    kohya_compat: Annotated[
        bool,
        typer.Option(
            "--kohya-compat",
            help="Read caption files to the byte as kohya's trainer does; --metadata as its tagger.",
        ),
    ] = False,
    metadata: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the captions to a .json or .jsonl for fine-tuning.", show_default=False
        ),
    ] = None,
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="The encoding of what --import names, where it is not UTF-8.")
    ] = "",
    cluster: ClusterOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write the captions by the project's tag rules.

    Captions are computed from your own caption files, or from a tagger's tags where there is none; your files are
    never changed. The rules are in lora.toml, [tags].

    Example: lorasmith tag my-lora --explain 01.png
    """
    from lorasmith.cli import captions as drawing
    from lorasmith.cli.rendering import print_json, show
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.errors import UsageError
    from lorasmith.face.stages import build_files, gather_tags, warn_of_length
    from lorasmith.pools.choosing import dealt_out
    from lorasmith.project import open_project
    from lorasmith.tags.building import compare_captions
    from lorasmith.tags.explanation import explain as explain_image
    from lorasmith.tags.inputs import read_inputs
    from lorasmith.tags.kohya import compute_as_kohya, write_metadata
    from lorasmith.tags.pipeline import compute_captions
    from lorasmith.tags.statistics import count_tags

    if (explain is not None) + diff + table + (write or archive is not None or metadata is not None) > 1:
        raise UsageError("--explain, --diff, --table and --write do not go together.", hint="Give one of them.")
    opened = open_project(project)
    with dealt_out(cluster):
        dataset = show(read_dataset(opened), json)
        consent = yes or _consents(opened, dataset, captioner, again, json)
        work = gather_tags(
            opened,
            dataset,
            tagger=tagger,
            imported=imported,
            captioner=captioner,
            again=again,
            encoding=encoding,
            consent=consent,
        )
        found = show(work, json)
    done: dict[str, Any] = {name: value for name, value in vars(found).items() if value is not None}
    if not json:
        _say_gathered(found)
    inputs = read_inputs(opened, dataset, kohya_compat=kohya_compat)
    if explain is not None:
        explanation = explain_image(inputs, explain)
        print_json(explanation.as_json()) if json else _print(drawing.draw_explanation(explanation))
        return
    captioning = compute_captions(inputs)
    show(warn_of_length(opened, captioning.captions), json)
    if metadata is not None:
        captions = compute_as_kohya(opened, dataset) if kohya_compat else captioning.captions
        done["metadata"] = write_metadata(metadata.expanduser(), dataset, captions)
    if diff:
        changes = compare_captions(opened, dataset, captioning)
        listed = [{"path": change.image, "before": change.before, "after": change.after} for change in changes]
        document = {"changes": listed, "rules": captioning.as_json()["rules"]}
        print_json(document) if json else _print(drawing.draw_changes(changes))
        return
    if table:
        counted = count_tags(inputs, captioning)
        print_json(counted.as_json()) if json else _print(drawing.draw_table(counted))
        return
    if write or archive is not None:
        done["built"] = show(build_files(opened, dataset, captioning), json)
    if archive is not None:
        done["zip"] = _pack(opened, archive)
    if json:
        print_json(captioning.as_json() | done)
        return
    _print(drawing.draw_captions(captioning))
    _say_next(project, done)


def _pack(project: Project, archive: Path) -> str | Path:
    """The built dataset as a zip; where a URL is named, made here and sent there."""
    import tempfile

    from lorasmith.storage.remote import send_file, url_of
    from lorasmith.tags.building import pack_zip

    url = url_of(archive)
    if url is None:
        return pack_zip(project, archive.expanduser())
    with tempfile.TemporaryDirectory() as folder:
        return send_file(pack_zip(project, Path(folder) / archive.name), url)


def _consents(project: Project, dataset: Dataset, captioner: str | None, again: bool, as_json: bool) -> bool:
    """Say what an endpoint would be sent, and ask where somebody is there to answer."""
    import sys

    if captioner is None or as_json:
        return False
    from lorasmith.cli.rendering import count_images, say
    from lorasmith.tags.endpoint import caption_cost, is_address
    from lorasmith.tags.settings import read_settings

    if not is_address(captioner):
        return False
    table = read_settings(project).captioner.model_copy(update={"url": captioner})
    cost = caption_cost(project, dataset, table, again)
    say(f"{count_images(cost.images)} to caption, about {cost.bytes / 2**20:.1f} MiB to {cost.host}.")
    return cost.is_local or (sys.stdin.isatty() and typer.confirm("They leave this machine. May they?"))


def _say_gathered(found: Gathered) -> None:
    from lorasmith.cli.captions import draw_import
    from lorasmith.cli.rendering import count_images, say

    if found.tagged is not None:
        say(f"{count_images(found.tagged)} tagged.")
    if found.imported is not None:
        _print(draw_import(found.imported))
    if found.captioned is not None:
        say(f"{count_images(found.captioned)} captioned.")


def _print(drawn: RenderableType) -> None:
    from lorasmith.cli.rendering import draw

    draw(drawn)


def _say_next(project: Path, done: dict[str, Any]) -> None:
    from shlex import quote

    from lorasmith.cli.rendering import say

    root = quote(str(project))
    if "metadata" in done:
        say(f"\nWritten: {done['metadata']}", style="green")
    if "built" not in done:
        say(f"\nWhy is a tag there, or not? {program()} tag {typed(root)} --explain IMAGE   (all tags: --table)")
        say(f"Next: {program()} train {typed(root)}   (other trainers: {program()} tag {typed(root)} --write)")
        return
    say(f"\nWritten: {done['built']}", style="green")
    if "zip" in done:
        say(f"Packed: {done['zip']}", style="green")
    say(f"Next: {program()} plan {typed(root)}   then: {program()} train {typed(root)}")
