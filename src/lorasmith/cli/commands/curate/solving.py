"""Repeats that give the primaries their weight and the run its steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.commands.curate.arguments import AsJson, DryRun, Folder
from lorasmith.cli.curation import draw_solution, solution_json
from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import print_json, say, show
from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from lorasmith.dataset.reading import Item
    from lorasmith.dataset.repeats import Steps
    from lorasmith.recipe.recipe import Recipe


def solve(
    project: Folder,
    influence: Annotated[float, typer.Option(help="What the primaries weigh together against all others.")] = 2.0,
    steps: Annotated[int | None, typer.Option(help="Target steps; default: the recipe's.", show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size; default: the recipe's.", show_default=False)] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs; default: the recipe's.", show_default=False)] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Solve repeats for influence and steps (D16, R7).

    Together the primaries get the wanted influence, and the run comes closest to its target steps. Primaries are the
    images of a folder with that word (5_primary) and those of curate primary.

    Example: lorasmith curate solve my-lora --influence 2 --steps 1120
    """
    from lorasmith.dataset.decisions import record
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.dataset.repeats import solve_repeats
    from lorasmith.face.deciding import decide_each
    from lorasmith.project import open_project
    from lorasmith.recipe.recipe import read_recipe

    for name, value in (("--batch", batch), ("--epochs", epochs)):
        if value is not None and value < 1:
            raise UsageError(f"{name} {value} is out of range.", hint="Give a number of at least 1.")
    opened = open_project(project)
    recipe = read_recipe(opened)
    dataset = show(read_dataset(opened), as_json)
    length = epochs or recipe.epochs
    # Without epochs a run ends at its target whatever the repeats are; then they need only be balanced.
    target = steps if steps is not None else (recipe.target_steps if length else None)
    count = _count_steps(dataset.items, recipe, batch or recipe.batch_size, length or 1)
    solution = solve_repeats(dataset.items, influence=influence, target=target, steps=count)
    changed = [item for item in dataset.items if item.repeats != solution.repeats_of(item)]
    decisions = [
        one
        for item in changed
        for one in decide_each([item], "repeats", solution.repeats_of(item), "solved from roles")
    ]
    if not dry_run:
        record(opened, decisions)
    if as_json:
        print_json(solution_json(solution) | {"changed": len(changed), "recorded": bool(changed) and not dry_run})
        return
    draw_solution(solution, influence, length or 1)
    if len(solution.shares) == 1:
        say(
            "All images weigh the same. Say which carry the subject: "
            f'{program()} curate primary {typed(project)} "face-*"'
        )
    if dry_run:
        say(f"{len(changed)} images would change. Do it: {program()} curate solve {typed(project)}")
    elif changed:
        say(f"Repeats of {len(changed)} images decided.", style="green")
        say(f"Undo: {program()} curate undo {typed(project)}   Next: {program()} plan {typed(project)}")
    else:
        say(f"They have these repeats already. Next: {program()} plan {typed(project)}")


def _count_steps(items: Sequence[Item], recipe: Recipe, batch: int, epochs: int) -> Steps:
    """Steps as the trainer counts them: batches do not mix buckets."""
    from collections import Counter

    from lorasmith.recipe.steps import steps_per_epoch

    rules = recipe.bucket_rules
    primaries: Counter[tuple[int, int]] = Counter()
    others: Counter[tuple[int, int]] = Counter()
    for item in items:
        (primaries if item.role == "primary" else others)[rules.place(item.size).bucket] += 1
    buckets = [(primaries[bucket], others[bucket]) for bucket in primaries | others]

    def count(first: int, second: int) -> int:
        rows = [many * first + more * second for many, more in buckets]
        return epochs * steps_per_epoch(rows, batch, recipe.accumulate)

    return count
