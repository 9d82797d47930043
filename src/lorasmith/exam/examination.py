"""Hold an exam: read the subject, set the standards, choose a snapshot, find its strength, answer fresh questions.

exams/<id>/ gets answers/ (contact sheets), grid.png, figures.json and report.html; while it is under way kept/ holds
what was drawn already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lorasmith.bases.tag_space import TagSpace
from lorasmith.errors import ExamError
from lorasmith.events import Note, Work
from lorasmith.exam import questions as sheets
from lorasmith.exam.drawing import Artist, Row
from lorasmith.exam.figures import share
from lorasmith.exam.folder import ExamFolder, open_folder
from lorasmith.exam.grading import Answer
from lorasmith.exam.judges import Judge
from lorasmith.exam.looks import Look, Observer
from lorasmith.exam.outcome import Outcome, conclude
from lorasmith.exam.plan import ExamPlan, described_count, make_plan, tell_pace, tell_plan
from lorasmith.exam.questions import Paper, Question
from lorasmith.exam.report import GridRow, StripCell
from lorasmith.exam.selection import ROUNDS, Arm, Choice, candidates, choose, race_cost
from lorasmith.exam.settings import ExamTable
from lorasmith.exam.sitting import Clock, Sitting, chunks
from lorasmith.exam.stacking import Partner, Stack, stack_all
from lorasmith.exam.standards import Standards, set_standards
from lorasmith.exam.strength import BEYOND, USABLE, Point, Window, find_window, still_rises
from lorasmith.exam.subject import Subject
from lorasmith.exam.training_set import look_at_training_set
from lorasmith.exam.verdict import Verdict
from lorasmith.project import Project
from lorasmith.remedies import Action, Do
from lorasmith.tags.encoders import Encoder

if TYPE_CHECKING:
    from PIL.Image import Image

#: Strengths at which snapshots race, where none is given.
RACING = (0.8, 1.0)
#: Questions of a batch in the race: a round of it makes an even number of batches, for two cores.
RACE_BATCH = ROUNDS[0] // 2


@dataclass(frozen=True)
class Examinee:
    """What is examined, with everything that answers need. `training` are the training images, small."""

    project: Project
    subject: Subject
    snapshots: tuple[Path, ...]
    training: tuple[Image, ...]
    judge: Judge
    paper: Paper
    sitting: Sitting
    settings: ExamTable


def examine(
    project: Project,
    snapshots: Sequence[Path],
    artist: Artist,
    settings: ExamTable,
    judge: Judge,
    world: TagSpace | None,
    encoder: Encoder | None = None,
    partners: Sequence[Partner] = (),
    given: Mapping[sheets.Kind, Sequence[Question]] | None = None,
) -> Work[Verdict]:
    """Examine `snapshots` (in training order) of the project's adapter. Raises ExamError."""
    if not snapshots:
        raise ExamError(
            "there is no adapter to examine.", where=project.root, hint="Make one:", remedy=Do(Action.TRAIN)
        )
    subject, training = yield from look_at_training_set(project, settings, judge, world, encoder is not None)
    yield Note(tell_subject(subject))
    racing = tuple(candidates(snapshots, settings.candidates))
    folder = open_folder(project, settings, racing, subject, training, partners)
    with folder:
        if folder.resumed:
            yield Note(f"Going on with {folder.path.name}, which was not finished.")
        sitting = Sitting(artist, Observer(judge, encoder), folder.kept)
        paper = Paper(subject, world, settings.seed, given or {})
        examinee = Examinee(project, subject, racing, training, judge, paper, sitting, settings)
        plan = make_plan(settings, len(racing), len(partners), bool(encoder), subject, world)
        yield from tell_plan(plan, project)
        verdict = yield from _sit(examinee, folder, plan, partners)
    return verdict


def _sit(examinee: Examinee, folder: ExamFolder, plan: ExamPlan, partners: Sequence[Partner]) -> Work[Verdict]:
    settings = examinee.settings
    try:
        standards, drawn = yield from find_standards(examinee)
    except ExamError:
        folder.discard()
        raise
    yield Note(standards.tell())
    yield from tell_pace(plan, examinee.sitting)
    choice = yield from choose_snapshot(examinee, standards)
    window, shown = yield from _find_strength(examinee, standards, choice)
    chosen = Arm(choice.chosen.snapshot, window.recommended)
    answers = yield from _answer_all(examinee, chosen, drawn)
    stacks: list[Stack] = []
    if partners and settings.stacking_pictures:
        stacks = yield from stack_all(examinee.sitting, examinee.paper, standards, chosen, partners, settings)
    grid = yield from _draw_grid(examinee)
    return conclude(
        folder,
        Outcome(
            project=examinee.project,
            settings=settings,
            standards=standards,
            choice=choice,
            window=window,
            strip=shown,
            answers=answers,
            stacks=stacks,
            grid=grid,
            training=examinee.training,
            judge=examinee.judge,
            encoder=examinee.sitting.observer.encoder,
            plan=plan,
            pace=examinee.sitting.pace,
            snapshots=examinee.snapshots,
        ),
    )


def tell_subject(subject: Subject) -> str:
    """What it is, in the judge's words."""
    traits = ", ".join(subject.identity.values())
    return f"The subject, as the judge sees it: {traits}." if traits else "The judge has no word for the subject."


def find_standards(examinee: Examinee) -> Work[tuple[Standards, list[Look]]]:
    """The base's pictures of the first hit questions, as they stand and with the traits in words, against the training
    images; the base's pictures come back, too. Raises ExamError when nobody can judge the subject."""
    settings, sitting, subject = examinee.settings, examinee.sitting, examinee.subject
    hits = examinee.paper.ask("hit", settings.pictures, sheets.REPORTING)
    asked, again = hits[: settings.base_count], hits[: described_count(settings)]
    rows = [Row(question.base_prompt, question.seed, None) for question in asked]
    words = [Row(sheets.described(question, subject), question.seed, None) for question in again]
    words = words if sitting.observer.encoder and subject.identity else []
    clock = Clock("calibrating", len(rows) + len(words))
    drawn = yield from sitting.look_at_all(clock, rows)
    described = yield from sitting.look_at_all(clock, words)
    developed = [
        look for part in chunks(examinee.training) for look in sitting.observer.look(sitting.artist.develop(part))
    ]
    standards = set_standards(subject, developed, drawn, described, sitting.observer.encoder)
    if not subject.identity and not standards.likeness.judges:
        raise ExamError(
            "nobody can judge this subject: the judge has no word for it, and by likeness the training images cannot be"
            " told from what the base draws.",
            where=examinee.project.where("exam"),
            hint='Say what makes it up: identity = ["red hair", ...], or name another encoder: likeness = FOLDER.',
        )
    return standards, drawn


def choose_snapshot(examinee: Examinee, standards: Standards) -> Work[Choice[Arm]]:
    """Halving on the choosing seeds; the base answers each leakage question once for all snapshots."""
    settings, sitting = examinee.settings, examinee.sitting
    strengths = RACING if settings.strength is None else (settings.strength,)
    if len(examinee.snapshots) == 1:
        strengths = strengths[-1:]  # the window finds it
    arms = [Arm(snapshot, strength) for snapshot in examinee.snapshots for strength in strengths]
    # A small exam must not spend more on choosing than on measuring.
    rounds = tuple(n for n in ROUNDS if n <= max(ROUNDS[0], settings.pictures))
    sheet = examinee.paper.mixed(rounds[-1])
    clock = Clock("choosing", race_cost(len(examinee.snapshots), rounds, len(strengths)))
    base_looks: dict[int, Look] = {}

    def answer(arm: Arm, start: int, stop: int) -> Work[list[bool]]:
        verdicts: list[bool] = []
        parts = list(chunks(range(start, stop), RACE_BATCH))
        fresh = [[i for i in numbers if sheet[i].kind == "leakage" and i not in base_looks] for numbers in parts]
        batches = [
            [Row(sheet[i].prompt, sheet[i].seed, arm.snapshot, arm.strength) for i in numbers]
            + [Row(sheet[i].base_prompt, sheet[i].seed, None) for i in asked]
            for numbers, asked in zip(parts, fresh, strict=True)
        ]
        for numbers, asked, looks in zip(parts, fresh, sitting.look_through(batches), strict=True):
            base_looks.update(zip(asked, looks[len(numbers) :], strict=True))
            verdicts += [
                standards.right(sheet[i], look, base_looks.get(i)) for i, look in zip(numbers, looks, strict=False)
            ]
            yield clock.tick(len(numbers))
        return verdicts

    return (
        yield from choose(
            arms, answer, rounds, bar=USABLE, kind=lambda arm: arm.snapshot, line=lambda arm: arm.strength
        )
    )


def _find_strength(
    examinee: Examinee, standards: Standards, choice: Choice[Arm]
) -> Work[tuple[Window, list[StripCell]]]:
    """The same fresh questions at every strength of the window, and beyond while it still rises."""
    settings, snapshot = examinee.settings, choice.chosen.snapshot
    given, count = settings.strength, settings.window_count
    if not count:
        point = Point(given or choice.chosen.strength, *(share([]),) * 3)
        return Window(point.strength, None, None, (point,)), []
    hits = examinee.paper.ask("hit", count, sheets.WINDOW)
    asked = [*hits, *examinee.paper.ask("flexibility", count // 2, sheets.WINDOW)]
    strengths = sorted({*settings.window, *(() if given is None else (given,))})
    clock = Clock("strengths", len(strengths) * len(asked))
    points: list[Point] = []
    strip: list[StripCell] = []
    waiting = strengths
    while waiting:
        rows = [Row(question.prompt, question.seed, snapshot, strength) for strength in waiting for question in asked]
        looks = yield from examinee.sitting.look_at_all(clock, rows)
        for strength, part in zip(waiting, chunks(looks, len(asked)), strict=True):
            points.append(_point(strength, asked, part, standards))
            strip.append(StripCell(strength, part[0].picture, standards.hit(asked[0], part[0]), asked[0].prompt))
        waiting = [more for more in BEYOND if more > waiting[-1]][:1] if still_rises(points) else []
    return find_window(points, given), strip


def _point(strength: float, asked: Sequence[Question], looks: Sequence[Look], standards: Standards) -> Point:
    pairs = list(zip(asked, looks, strict=True))
    return Point(
        strength,
        share([standards.hit(question, look) for question, look in pairs if question.kind == "hit"]),
        share([standards.kept(question, look) for question, look in pairs if question.kind != "hit"]),
        share([bool(standards.faults(look)) for look in looks]),
    )


def _answer_all(examinee: Examinee, chosen: Arm, drawn: Sequence[Look]) -> Work[list[Answer]]:
    """Fresh questions for the chosen snapshot at its strength, the base beside it on the same seeds (on a quarter of
    the hits, where it has `drawn` already)."""
    settings, paper = examinee.settings, examinee.paper
    counts: Mapping[sheets.Kind, int] = {
        "hit": settings.pictures,
        "flexibility": settings.flexibility_count,
        "override": settings.override_count,
        "leakage": settings.leakage_count,
        "untriggered": settings.untriggered_count,
    }
    asked = [
        (question, kind != "hit")
        for kind, count in counts.items()
        for question in paper.ask(kind, count, sheets.REPORTING)
    ]
    clock = Clock("examining", len(asked) + sum(with_base for _, with_base in asked))
    answers = yield from examinee.sitting.answer(clock, asked, chosen.snapshot, chosen.strength)
    for number, look in enumerate(drawn):  # hits come first
        answers[number] = replace(answers[number], base=look)
    return answers


def _draw_grid(examinee: Examinee) -> Work[list[GridRow]]:
    """Snapshots x strengths on one prompt and seed, with the bare base as control (C1, C3)."""
    settings = examinee.settings
    question = examinee.paper.ask("hit", 1, sheets.SHOWING)[0]
    first = Row(question.prompt, question.seed, None, steps=settings.grid_steps)
    rows = [first]
    for snapshot in examinee.snapshots:
        rows += [replace(first, adapter=snapshot, strength=strength) for strength in settings.strengths]
    clock = Clock("grid", len(rows))
    control, *cells = yield from examinee.sitting.look_at_all(clock, rows)
    width = len(settings.strengths)
    return [
        GridRow(
            snapshot,
            control.picture,
            tuple(look.picture for look in cells[i * width : (i + 1) * width]),
            question.prompt,
        )
        for i, snapshot in enumerate(examinee.snapshots)
    ]
