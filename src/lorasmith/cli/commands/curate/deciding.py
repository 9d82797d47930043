"""Decisions on images: in or out, how often, which part, what they show; and taking them back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.commands.curate.arguments import (
    AsJson,
    Boxes,
    DryRun,
    Folder,
    Images,
    Reason,
    Reset,
    choose,
    read_box,
    record_decisions,
)
from lorasmith.cli.curation import decision_json, draw_decisions, draw_log, name_some, tell_decision
from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import count_images, print_json, say, show
from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from lorasmith.dataset.decisions import Role


def keep(project: Folder, images: Images, reason: Reason = "", as_json: AsJson = False) -> None:
    """Keep images: rejected ones come back in, auto spares them.

    Example: lorasmith curate keep my-lora 07.png
    """
    from lorasmith.dataset.choices import keep_images

    opened, dataset, chosen = choose(project, images, as_json)
    record_decisions(opened, project, keep_images(dataset, chosen, reason), "kept", chosen, as_json)


def reject(project: Folder, images: Images, reason: Reason = "", as_json: AsJson = False) -> None:
    """Leave images out; their files stay.

    The decision is remembered for images that go and come back.

    Example: lorasmith curate reject my-lora blurred.png "holiday/*" --reason "not her"
    """
    from lorasmith.dataset.choices import reject_images

    opened, dataset, chosen = choose(project, images, as_json)
    decisions = reject_images(dataset, chosen, reason)
    record_decisions(opened, project, decisions, "rejected", chosen, as_json)


def primary(
    project: Folder, images: Images, reset: Reset = False, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Mark images that carry the subject (D16).

    They are clear, sharp, and show it well.

    Example: lorasmith curate primary my-lora "face-*.png"
    """
    _assign_role(project, images, None if reset else "primary", reason, as_json)


def supporting(
    project: Folder, images: Images, reset: Reset = False, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Mark images that refine the subject (D16).

    Example: lorasmith curate supporting my-lora "crowd-*.png"
    """
    _assign_role(project, images, None if reset else "supporting", reason, as_json)


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
    from lorasmith.face.deciding import repeat_images

    if (times is None) != reset:
        raise UsageError("say how often.", hint="Give --times N, or --reset for the folder's number.")
    if times is not None and not 1 <= times <= MOST_REPEATS:
        raise UsageError(f"--times {times} is out of range.", hint=f"Give 1 to {MOST_REPEATS}; 0 is: curate reject.")
    opened, _, chosen = choose(project, images, as_json)
    done = "with their folder's repeats" if reset else f"shown {times} times an epoch"
    record_decisions(opened, project, repeat_images(chosen, times, reason), done, chosen, as_json)


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
    from lorasmith.face.deciding import crop_images

    if (box is None) != reset or (box is not None and len(box) != 1):
        raise UsageError("say which part.", hint="Give one --box X,Y,W,H, or --reset for the whole.")
    part = None if box is None else read_box(box[0])
    opened, _, chosen = choose(project, images, as_json)
    decisions = crop_images(chosen, part, reason)
    done = "whole again" if part is None else f"cropped to {part[2] - part[0]}x{part[3] - part[1]} pixels"
    record_decisions(opened, project, decisions, done, chosen, as_json)


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
    from lorasmith.face.deciding import label_images, read_label

    words = read_label(name)
    opened, dataset, chosen = choose(project, images, as_json)
    decisions = label_images(opened, dataset, chosen, words)
    record_decisions(opened, project, decisions, f'labelled "{words}"', chosen, as_json)


def unlabel(
    project: Folder,
    images: Images,
    name: Annotated[str, typer.Option("--as", metavar="LABEL", help="The label to take away.")],
    as_json: AsJson = False,
) -> None:
    """Take a label away from images.

    Example: lorasmith curate unlabel my-lora 03.png --as "from behind"
    """
    from lorasmith.face.deciding import read_label, unlabel_images

    words = read_label(name)
    opened, _, chosen = choose(project, images, as_json)
    decisions, having = unlabel_images(chosen, words)
    record_decisions(opened, project, decisions, f'no longer labelled "{words}"', having, as_json)


def distinct(project: Folder, images: Images, reason: Reason = "", as_json: AsJson = False) -> None:
    """Say that look-alikes are no duplicates (D12).

    Example: lorasmith curate distinct my-lora smile.png open-smile.png
    """
    from lorasmith.face.deciding import tell_apart

    opened, _, chosen = choose(project, images, as_json)
    record_decisions(opened, project, tell_apart(chosen, reason), "told apart", chosen, as_json)


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
    say(f"What stands: {program()} curate log {typed(project)}")


def redo(
    project: Folder,
    count: Annotated[int, typer.Argument(metavar="[STEPS]", help="How many steps; one undo is one step.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Do again what was undone last.

    That works until something else is decided.

    Example: lorasmith curate redo my-lora
    """
    from lorasmith.dataset.decisions import redo as do_again
    from lorasmith.project import open_project

    done = do_again(open_project(project), count)
    if as_json:
        print_json({"redone": [decision_json(decision) for decision in done]})
        return
    say(f"Done again: {name_some([tell_decision(decision) for decision in done])}", style="green")
    say(f"What stands: {program()} curate log {typed(project)}")


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
        say(f"\nUndo the last step: {program()} curate undo {typed(project)}")
    else:
        say(f"Nothing is decided yet. Begin with: {program()} inspect {typed(project)}")


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
        say(f"What else was found: {program()} inspect {typed(project)}")
        return
    rejected = sum(decision.verb == "reject" for decision in decisions)
    once = f", {count_images(len(decisions) - rejected)} shown once an epoch" if rejected < len(decisions) else ""
    if dry_run:
        say(f"\n{count_images(rejected)} would be rejected{once}. Do it: {program()} curate auto {typed(project)}")
    else:
        say(f"\n{count_images(rejected)} rejected{once}; their files stay.", style="green")
        say(f"Undo: {program()} curate undo {typed(project)}   Next: {program()} inspect {typed(project)}")


def _assign_role(project: Path, images: Sequence[str], role: Role | None, reason: str, as_json: bool) -> None:
    from lorasmith.face.deciding import assign_role

    opened, _, chosen = choose(project, images, as_json)
    done = "without a role of their own" if role is None else f"now {role}"
    record_decisions(
        opened, project, assign_role(chosen, role, reason), done, chosen, as_json, f"curate solve {project}"
    )
