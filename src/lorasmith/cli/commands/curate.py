"""`lorasmith curate`: decisions on images, and pictures made from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.curation import (
    decision_json,
    draw_decisions,
    draw_log,
    draw_solution,
    name_some,
    show_made,
    solution_json,
    tell_decision,
)
from lorasmith.cli.rendering import count_images, print_json, say, show
from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from lorasmith.dataset.decisions import Decision, Role
    from lorasmith.dataset.reading import Dataset, Item
    from lorasmith.dataset.repeats import Steps
    from lorasmith.images.crops import Box
    from lorasmith.project import Project
    from lorasmith.recipe.recipe import Recipe

app = typer.Typer(help="Decide on images, and make more of them; all can be undone.", no_args_is_help=True)

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


@app.command()
def keep(project: Folder, images: Images, reason: Reason = "", as_json: AsJson = False) -> None:
    """Keep images: rejected ones come back in, auto spares them.

    Example: lorasmith curate keep my-lora 07.png
    """
    from lorasmith.dataset.choices import keep_images

    opened, dataset, chosen = _choose(project, images, as_json)
    _record(opened, project, keep_images(dataset, chosen, reason), "kept", chosen, as_json)


@app.command()
def reject(project: Folder, images: Images, reason: Reason = "", as_json: AsJson = False) -> None:
    """Leave images out; their files stay.

    The decision is remembered for images that go and come back.

    Example: lorasmith curate reject my-lora blurred.png "holiday/*" --reason "not her"
    """
    from lorasmith.dataset.choices import reject_images

    opened, dataset, chosen = _choose(project, images, as_json)
    decisions = reject_images(dataset, chosen, reason)
    _record(opened, project, decisions, "rejected", chosen, as_json)


@app.command()
def primary(
    project: Folder, images: Images, reset: Reset = False, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Mark images that carry the subject (D16).

    They are clear, sharp, and show it well.

    Example: lorasmith curate primary my-lora "face-*.png"
    """
    _assign_role(project, images, None if reset else "primary", reason, as_json)


@app.command()
def supporting(
    project: Folder, images: Images, reset: Reset = False, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Mark images that refine the subject (D16).

    Example: lorasmith curate supporting my-lora "crowd-*.png"
    """
    _assign_role(project, images, None if reset else "supporting", reason, as_json)


@app.command()
def repeats(
    project: Folder,
    images: Images,
    times: Annotated[int | None, typer.Option("--times", help="How often an epoch shows them.")] = None,
    reset: Reset = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Say how often an epoch shows images.

    This goes before the number of their folder. For all at once: curate solve.

    Example: lorasmith curate repeats my-lora tattoo.png --times 3
    """
    from lorasmith.dataset.decisions import MOST_REPEATS

    if (times is None) != reset:
        raise UsageError("say how often.", hint="Give --times N, or --reset for the folder's number.")
    if times is not None and not 1 <= times <= MOST_REPEATS:
        raise UsageError(f"--times {times} is out of range.", hint=f"Give 1 to {MOST_REPEATS}; 0 is: curate reject.")
    opened, _, chosen = _choose(project, images, as_json)
    done = "with their folder's repeats" if reset else f"shown {times} times an epoch"
    _record(opened, project, _each(chosen, "repeats", times, reason), done, chosen, as_json)


@app.command()
def crop(
    project: Folder,
    images: Images,
    box: Boxes = None,
    reset: Reset = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Train only a part of images; their files stay whole.

    Example: lorasmith curate crop my-lora 12.jpg --box 40,0,600,800
    """
    from lorasmith.dataset.derive import check_box

    if (box is None) != reset or (box is not None and len(box) != 1):
        raise UsageError("say which part.", hint="Give one --box X,Y,W,H, or --reset for the whole.")
    part = None if box is None else _read_box(box[0])
    opened, _, chosen = _choose(project, images, as_json)
    for item in chosen:
        if part is not None:
            check_box(part, (item.facts.width, item.facts.height), item.name)
    done = "whole again" if part is None else f"cropped to {part[2] - part[0]}x{part[3] - part[1]} pixels"
    _record(opened, project, _each(chosen, "crop", part, reason), done, chosen, as_json)


@app.command()
def label(
    project: Folder,
    images: Images,
    name: Annotated[str, typer.Option("--as", metavar="LABEL", help='What they show, such as "from behind".')],
    as_json: AsJson = False,
) -> None:
    """Say what images show; inspect counts it (D4, D5).

    Labels are your own words. Captions do not change.

    Example: lorasmith curate label my-lora 03.png 04.png --as "from behind"
    """
    words = _label(name)
    opened, dataset, chosen = _choose(project, images, as_json)
    _refuse_labels(opened, dataset, chosen, words)
    _record(opened, project, _each(chosen, "label", words), f'labelled "{words}"', chosen, as_json)


@app.command()
def unlabel(
    project: Folder,
    images: Images,
    name: Annotated[str, typer.Option("--as", metavar="LABEL", help="The label to take away.")],
    as_json: AsJson = False,
) -> None:
    """Take a label away from images.

    Example: lorasmith curate unlabel my-lora 03.png --as "from behind"
    """
    words = _label(name)
    opened, _, chosen = _choose(project, images, as_json)
    having = [item for item in chosen if words in item.facets]
    if not having:
        known = sorted({facet for item in chosen for facet in item.facets})
        hint = f"They have: {', '.join(known)}." if known else "They have no labels."
        raise UsageError(f'none of these images has the label "{words}".', hint=hint)
    done = f'no longer labelled "{words}"'
    _record(opened, project, _each(having, "unlabel", words), done, having, as_json)


@app.command()
def distinct(project: Folder, images: Images, reason: Reason = "", as_json: AsJson = False) -> None:
    """Say that look-alikes are no duplicates (D12).

    Example: lorasmith curate distinct my-lora smile.png open-smile.png
    """
    from itertools import combinations

    from lorasmith.dataset.decisions import Decision

    opened, _, chosen = _choose(project, images, as_json)
    contents = {item.facts.sha256: item for item in chosen}
    if len(contents) < 2:
        hint = "Name two or more different images." if len(chosen) < 2 else "Identical files cannot be told apart."
        raise UsageError("that is one picture.", hint=hint)
    decisions = [
        Decision(one, "distinct", other, reason, name=contents[one].name)
        for one, other in combinations(sorted(contents), 2)
    ]
    _record(opened, project, decisions, "told apart", chosen, as_json)


@app.command()
def undo(
    project: Folder,
    count: Annotated[int, typer.Argument(metavar="[STEPS]", help="How many steps; one command is one step.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Take back the last step, or several.

    What was made leaves the dataset; its files stay in made/.

    Example: lorasmith curate undo my-lora
    """
    from lorasmith.dataset.decisions import undo as take_back
    from lorasmith.project import open_project

    opened = open_project(project)
    taken = take_back(opened, count)
    if as_json:
        print_json({"undone": [decision_json(decision) for decision in taken]})
        return
    say(f"Undone: {name_some([tell_decision(decision) for decision in taken])}", style="green")
    say(f"What stands: lorasmith curate log {project}")


@app.command()
def log(project: Folder, as_json: AsJson = False) -> None:
    """Show the decisions that stand.

    Example: lorasmith curate log my-lora
    """
    from lorasmith.dataset.decisions import read_decisions
    from lorasmith.project import open_project

    opened = open_project(project)
    decisions = read_decisions(opened)
    if as_json:
        steps = [[decision_json(decision) for decision in step] for step in decisions.steps]
        print_json({"steps": steps, "problems": list(decisions.problems)})
        return
    draw_log(decisions.steps)
    for problem in decisions.problems:
        say(f"warning: {opened.curation.name}: {problem}", style="yellow")
    if decisions.steps:
        say(f"\nUndo the last step: lorasmith curate undo {project}")
    else:
        say(f"Nothing is decided yet. Begin with: lorasmith inspect {project}")


@app.command()
def auto(
    project: Folder,
    rules: Annotated[
        list[str] | None, typer.Option("--rule", help="Only what this rule found, e.g. D12. Can be repeated.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Reject what inspect would: copies, blurs, strangers.

    Images of a folder that is named after a year (2019_holiday) are shown once an epoch, not 2019 times. It is one
    step for curate undo. Images that you keep (curate keep) are spared.

    Example: lorasmith curate auto my-lora --dry-run
    """
    from lorasmith.face.stages import tidy_images
    from lorasmith.project import open_project

    cured = show(tidy_images(open_project(project), rules or (), dry_run=dry_run), as_json)
    decisions = cured.decisions
    if as_json:
        listed = [decision_json(decision) for decision in decisions]
        print_json({"decisions": listed, "spared": list(cured.spared), "recorded": bool(decisions) and not dry_run})
        return
    draw_decisions(decisions)
    if cured.spared:
        say(f"Spared, since you keep them: {name_some(cured.spared)}")
    if not decisions:
        say("There is nothing to do automatically.", style="green")
        say(f"What else was found: lorasmith inspect {project}")
        return
    rejected = sum(decision.verb == "reject" for decision in decisions)
    once = f", {count_images(len(decisions) - rejected)} shown once an epoch" if rejected < len(decisions) else ""
    if dry_run:
        say(f"\n{count_images(rejected)} would be rejected{once}. Do it: lorasmith curate auto {project}")
    else:
        say(f"\n{count_images(rejected)} rejected{once}; their files stay.", style="green")
        say(f"Undo: lorasmith curate undo {project}   Next: lorasmith inspect {project}")


@app.command()
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
        one for item in changed for one in _each([item], "repeats", solution.repeats_of(item), "solved from roles")
    ]
    if not dry_run:
        record(opened, decisions)
    if as_json:
        print_json(solution_json(solution) | {"changed": len(changed), "recorded": bool(changed) and not dry_run})
        return
    draw_solution(solution, influence, length or 1)
    if len(solution.shares) == 1:
        say(f'All images weigh the same. Say which carry the subject: lorasmith curate primary {project} "face-*"')
    if dry_run:
        say(f"{len(changed)} images would change. Do it: lorasmith curate solve {project}")
    elif changed:
        say(f"Repeats of {len(changed)} images decided.", style="green")
        say(f"Undo: lorasmith curate undo {project}   Next: lorasmith plan {project}")
    else:
        say(f"They have these repeats already. Next: lorasmith plan {project}")


@app.command()
def alter(
    project: Folder,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE...]", help="What to copy; none with --replace-clones.", show_default=False),
    ] = None,
    operations: Annotated[
        list[str] | None,
        typer.Option(
            "--operation",
            help="crop, aspect, rotate, flip, overlay, grayscale, enhance or quality; can be repeated. "
            "Default: each in turn.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Copies of each image.", min=1, max=50)] = 1,
    seed: Seed = 0,
    clones: Annotated[
        bool, typer.Option("--replace-clones", help="Altered copies in place of identical ones (D7).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make changed copies of images (D7).

    They lie in made/, with captions that say what was done.

    Example: lorasmith curate alter my-lora 01.png --operation grayscale --operation crop --count 2
    """
    from lorasmith.dataset.derive import alter_images, check_operations, replace_clones

    if clones == bool(images):
        raise UsageError("say which images.", hint="Name them, or give --replace-clones alone.")
    chosen_operations = check_operations(operations or [])
    opened, dataset, chosen = _choose(project, images or [], as_json)
    if clones:
        made = show(replace_clones(opened, dataset, chosen_operations, seed=seed), as_json)
    else:
        made = show(alter_images(opened, chosen, chosen_operations, count=count, seed=seed), as_json)
    show_made(made, project, as_json, "There are no identical copies." if clones else "")


@app.command()
def collage(
    project: Folder,
    images: Images,
    layout: Annotated[
        str | None, typer.Option(help="side, stack, grid or inset. Default: by number and shape.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put images into one (D8).

    For a couple, or several views of one subject.

    Example: lorasmith curate collage my-lora anna.png ben.png --layout side
    """
    from lorasmith.dataset.derive import combine
    from lorasmith.images.collage import LAYOUTS, Layout
    from lorasmith.tags.refusal import refuse

    opened, dataset, chosen = _choose(project, images, as_json)
    known: dict[str, Layout] = {name: name for name in LAYOUTS}
    if layout is not None and layout not in known:
        raise UsageError(f'--layout "{layout}" is not known.', hint=f"Layouts: {', '.join(LAYOUTS)}.")
    said = _said(opened, dataset, chosen)
    refuse((word for words in said.values() for word in words), where=", ".join(said))
    wanted = known[layout] if layout else _fitting_layout(chosen)
    show_made(show(combine(opened, chosen, wanted), as_json), project, as_json)


@app.command()
def cut(
    project: Folder,
    image: Picture,
    box: Boxes = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--as", metavar="NAME", help="What the box before it shows, e.g. head.", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option(help="Pictures to make, 15 to 20.")] = 18,
    mirrored: Annotated[
        bool, typer.Option("--flip/--no-flip", help="Mirror images too; not when its two sides differ.")
    ] = True,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Make a dataset of one image (D14).

    It has the parts of the image, and changed copies of them, greyscale among them. Draw the parts yourself if you
    can; without boxes the image is cut regularly, by the kind of subject.

    Example: lorasmith curate cut my-lora only.png --box 210,40,180,180 --as head --box 200,40,260,600 --as body
    """
    from lorasmith.dataset.derive import cut_up
    from lorasmith.images.crops import Part

    boxes, given = [_read_box(text) for text in box or []], [_label(name) for name in names or []]
    if given and len(given) != len(boxes):
        raise UsageError(f"{len(boxes)} boxes, {len(given)} names.", hint="Give each --box its --as, or none at all.")
    opened, dataset, chosen = _choose(project, [image], as_json)
    if len(chosen) != 1:
        raise UsageError(f"{len(chosen)} images match; one is cut at a time.", hint="Write its name.")
    for name in given:
        _refuse_labels(opened, dataset, chosen, name)
    parts = [Part(given[number] if given else f"part {number + 1}", place) for number, place in enumerate(boxes)]
    made = show(cut_up(opened, chosen[0], parts, named=bool(given), mirrored=mirrored, count=count, seed=seed), as_json)
    show_made(made, project, as_json)
    if not as_json and not parts:
        say("The cuts are regular: nothing here knows where head or hair are. Look at them; reject what shows nothing.")


@app.command()
def adopt(
    project: Folder,
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURE...", help="Pictures that you kept, or a folder of them.", show_default=False),
    ],
    round_number: Annotated[int, typer.Option("--round", help="The round of training that they are for.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Take an adapter's own pictures for round two (D15).

    Their prompt becomes their caption. 25 to 35 images are right for round two; stop as soon as strength 0.8 gives
    usable pictures.

    Example: lorasmith curate adopt my-lora out/keepers
    """
    from lorasmith.dataset.derive import adopt as take
    from lorasmith.dataset.derive import read_drawings
    from lorasmith.project import open_project
    from lorasmith.tags.refusal import refuse

    opened = open_project(project)
    drawings = read_drawings(pictures)
    for path, drawing in drawings.items():
        if drawing is not None:
            refuse(drawing.prompt, where=path)
    made = show(take(opened, drawings, round_number=round_number), as_json)
    show_made(made, project, as_json)
    if not as_json:
        _say_round(opened, round_number)
    silent = [path.name for path, drawing in drawings.items() if drawing is None]
    if silent and not as_json:
        say(f"Without a prompt inside, so without a caption: {name_some(silent)}", style="yellow")


def _say_round(opened: Project, round_number: int) -> None:
    """How far the next round's dataset is."""
    from lorasmith.dataset.derive import SECOND_ROUND
    from lorasmith.dataset.reading import read_dataset

    count, (fewest, most) = len(show(read_dataset(opened), True).items), SECOND_ROUND
    if round_number == 2:
        advice = "that is right" if fewest <= count <= most else f"{fewest} to {most} are advised (D15)"
        say(f"The dataset of round 2 has {count} images; {advice}.")


def _choose(project: Path, images: Sequence[str], as_json: bool) -> tuple[Project, Dataset, tuple[Item, ...]]:
    from lorasmith.dataset.reading import read_all
    from lorasmith.dataset.selection import select_images
    from lorasmith.project import open_project

    opened = open_project(project)
    dataset = show(read_all(opened), as_json)
    return opened, dataset, select_images(dataset, images)


def _assign_role(project: Path, images: Sequence[str], role: Role | None, reason: str, as_json: bool) -> None:
    opened, _, chosen = _choose(project, images, as_json)
    done = "without a role of their own" if role is None else f"now {role}"
    _record(opened, project, _each(chosen, "role", role, reason), done, chosen, as_json, f"curate solve {project}")


def _each(items: Iterable[Item], verb: Any, value: Any, reason: str = "") -> list[Decision]:
    """The same decision on each image; identical copies have it once."""
    from lorasmith.dataset.decisions import Decision

    contents = {item.facts.sha256: item for item in reversed(list(items))}
    return [Decision(sha, verb, value, reason, name=item.name) for sha, item in reversed(contents.items())]


def _record(
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
    say(f"Undo: lorasmith curate undo {project}   Next: lorasmith {following or f'inspect {project}'}")


def _read_box(text: str) -> Box:
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f'--box "{text}": not four whole numbers.', hint="Write --box X,Y,W,H in pixels.") from None
    if left < 0 or top < 0 or width < 1 or height < 1:
        raise UsageError(f'--box "{text}": nothing is there.', hint="Write --box X,Y,W,H in pixels.")
    return left, top, left + width, top + height


def _label(text: str) -> str:
    words = " ".join(text.split())
    if not words or "," in words:
        raise UsageError(f'--as "{text}" is no label.', hint="Give one word or a few, without commas.")
    return words


def _said(opened: Project, dataset: Dataset, chosen: Sequence[Item]) -> dict[str, tuple[str, ...]]:
    """All that is known of each image in words, by name: raw tags, ratings, labels."""
    from dataclasses import replace

    from lorasmith.tags.raw import read_raw_tags

    raw = read_raw_tags(opened, replace(dataset, items=tuple(chosen)))
    return {item.name: (*raw[item.name].tags, *raw[item.name].ratings, *item.facets) for item in chosen}


def _refuse_labels(opened: Project, dataset: Dataset, chosen: Sequence[Item], words: str) -> None:
    from lorasmith.tags.refusal import refuse

    for name, said in _said(opened, dataset, chosen).items():
        refuse((words, *said), where=name)


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


def _fitting_layout(chosen: Sequence[Item]) -> Any:
    """Four and more in a grid; wide pictures above each other, others side by side."""
    if len(chosen) > 3:
        return "grid"
    wide = sum(1 for item in chosen if item.size[0] > 1.2 * item.size[1])
    return "stack" if 2 * wide > len(chosen) else "side"
