"""`lorasmith recipe`: recipes from other trainers, and for them (R6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import print_json, say

if TYPE_CHECKING:
    from lorasmith.library.hubs.references import Reference
    from lorasmith.project import Project
    from lorasmith.recipe.exchange.imported import Imported, LeftOut
    from lorasmith.recipe.exchange.other_trainer import OtherTrainer, Surroundings
    from lorasmith.recipe.recipe import Recipe

app = typer.Typer(help="Take over recipes from other trainers, and write them for those.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command("import")
def import_(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|REF",
            help="A recipe of kohya, ai-toolkit, OneTrainer, diffusion-pipe or the hub trainer, or any adapter file; "
            "told by what it holds. Or an adapter on a hub: civitai:MODEL[@VERSION], hf:OWNER/NAME, a page's address, "
            "a hash; its header alone is fetched.",
        ),
    ],
    into: Annotated[Path | None, typer.Option("--into", help="Write it into this project's lora.toml.")] = None,
    mature: Annotated[bool, typer.Option("--mature", help="What the hub calls mature, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read another trainer's recipe, or the one in an adapter's header; what could not be taken over is listed.

    Example: lorasmith recipe import training.json --into my-lora
    """
    import tomlkit

    from lorasmith.project import open_project
    from lorasmith.recipe.exchange.reading import into_project, read_file

    reference = _reference(source)
    imported = read_file(Path(source)) if reference is None else _from_hub(reference, mature, as_json)
    if into is not None:
        into_project(imported, open_project(into))
    if as_json:
        print_json(imported.as_json() | {"written": None if into is None else str(into / "lora.toml")})
        return
    if into is None:
        say(tomlkit.dumps({"recipe": imported.values}).rstrip())
    _tell(imported.left_out, imported.notes)
    if into is not None:
        say(f"{into / 'lora.toml'}: [recipe] is that of {Path(source).name if reference is None else reference}")
        say(f"next: {program()} plan {typed(into)}")


def _reference(source: str) -> Reference | None:
    """What a text names on a hub; None where it is a file, or no name of either kind."""
    from lorasmith.errors import UsageError
    from lorasmith.library.hubs.references import read_reference

    if Path(source).exists():
        return None
    try:
        return read_reference(source)
    except UsageError:
        if ":" in source:
            raise
        return None


def _from_hub(reference: Reference, mature: bool, as_json: bool) -> Imported:
    import tempfile

    from lorasmith.cli.rendering import show
    from lorasmith.library.hubs.fetching import fetch_start, open_hub
    from lorasmith.recipe.exchange.reading import read_file

    with tempfile.TemporaryDirectory() as folder, open_hub(reference) as hub:
        start = show(fetch_start(hub, reference, Path(folder), mature=mature), json=as_json)
        return read_file(start, f"{reference}, {start.name}")


@app.command()
def export(
    project: Annotated[Path, typer.Argument(help="Folder of the project.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="TRAINER", help="The trainer: kohya, hub or ai-toolkit.")
    ] = None,
    kohya: Annotated[bool, typer.Option("--kohya", help="kohya's training TOML.")] = False,
    hub: Annotated[bool, typer.Option("--hub", help="The hub trainer's JSON.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The new file; without it, on the screen.")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A recipe value to use instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the project's recipe for another trainer; what it cannot say is listed.

    Example: lorasmith recipe export my-lora --to ai-toolkit --out my-lora.yaml
    """
    from lorasmith.project import open_project
    from lorasmith.recipe.overrides import split_overrides
    from lorasmith.recipe.recipe import read_recipe
    from lorasmith.storage.files import write_file

    trainer = _writer([*([to] if to else []), *(["kohya"] if kohya else []), *(["hub"] if hub else [])])
    opened = open_project(project)
    recipe = read_recipe(opened, split_overrides(assignments or []))
    assert trainer.write is not None
    text, lost = trainer.write(recipe, _surroundings(opened, recipe, as_json, counts=trainer.counts))
    if out is not None:
        write_file(out, text)
    if as_json:
        document: dict[str, Any] = {"text": text, "left_out": [each.as_json() for each in lost]}
        print_json(document | {"path": None if out is None else str(out)})
        return
    if out is None:
        say(text.rstrip())
    _tell(lost, ())
    if out is not None:
        say(f"{out}: written")
        if trainer.name == "kohya" and not (opened.built_dataset / "dataset.toml").is_file():
            say(f"next: {program()} tag {typed(project)} --write, which builds the dataset that kohya needs")


def _writer(asked: Sequence[str]) -> OtherTrainer:
    """The one trainer that is asked for, which recipes can be written for."""
    from lorasmith.errors import UsageError, did_you_mean
    from lorasmith.recipe.exchange import OTHER_TRAINERS

    known = [name for name, each in OTHER_TRAINERS.items() if each.write is not None]
    if len(set(asked)) != 1:
        raise UsageError(f"say for whom: --to with one of {', '.join(known)}.")
    if asked[0] not in known:
        told = did_you_mean(asked[0], known) or f"Known: {', '.join(known)}."
        raise UsageError(f"--to {asked[0]}: recipes are not written for it. {told}")
    return OTHER_TRAINERS[asked[0]]


def _surroundings(project: Project, recipe: Recipe, as_json: bool, *, counts: bool) -> Surroundings:
    """What an export may hold besides the recipe; with `counts` one number of repeats for all trained images, and the
    steps, by the plan (neither without images)."""
    from lorasmith.cli.rendering import show
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.errors import DatasetError
    from lorasmith.recipe.exchange.other_trainer import Surroundings
    from lorasmith.recipe.plan import make_plan
    from lorasmith.recipe.validation import hold_out

    built = project.built_dataset / "dataset.toml"
    known = Surroundings(project.lora.name, built if built.is_file() else None)
    if not counts:
        return known
    try:
        trained, _ = show(hold_out(project, recipe, show(read_dataset(project), json=as_json)), json=as_json)
        plan = make_plan(recipe, trained)
    except DatasetError:
        return known
    shown = sum(image.repeats for image in plan.images)
    return replace(known, repeats=max(1, round(shown / len(plan.images))), steps=plan.steps)


def _tell(left_out: Sequence[LeftOut], notes: Sequence[str]) -> None:
    if left_out:
        say("not taken over:", style="bold")
    for each in left_out:
        say(f"  {each.key} = {each.value}: {each.reason}")
    for note in notes:
        say(f"note: {note}")
