"""Hold an exam: read the subject, choose a snapshot, answer fresh questions, measure, report.

exams/<id>/ gets answers/ (contact sheets), grid.png, figures.json and report.html.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.adapters.catalogue import name_files
from lorasmith.bases.tag_space import TagSpace
from lorasmith.errors import ExamError
from lorasmith.events import Note, Progress, Work, eta
from lorasmith.exam import questions as sheets
from lorasmith.exam.contact import contact_sheet, small
from lorasmith.exam.copying import Copying, find_copies, thumbnail
from lorasmith.exam.drawing import BATCH, Artist, Row
from lorasmith.exam.grading import Answer, grade, right
from lorasmith.exam.judges import Attributes, Judge, summarise_rates
from lorasmith.exam.report import GridRow, Shown, write_report
from lorasmith.exam.selection import ROUNDS, Choice, candidates, choose
from lorasmith.exam.settings import ExamTable
from lorasmith.exam.subject import Subject, read_subject
from lorasmith.exam.verdict import Verdict, judge_figures
from lorasmith.generation.sheets import draw_sheet
from lorasmith.project import Project, safe_name
from lorasmith.remedies import Action, Do
from lorasmith.storage.files import replacing, write_file

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Examinee:
    """What is examined, with everything that answers need. `pictures` are the training images, small."""

    project: Project
    subject: Subject
    snapshots: tuple[Path, ...]
    training: tuple[Image, ...]
    judge: Judge
    world: TagSpace | None
    artist: Artist


class _Clock:
    """Counts pictures and tells how long the rest will take."""

    def __init__(self, stage: str, total: int) -> None:
        self.stage, self.total, self.done = stage, total, 0
        self.began = time.monotonic()

    def tick(self, count: int) -> Progress:
        self.done += count
        left = eta(self.began, self.done, self.total)
        return Progress(self.stage, self.done, max(self.total, self.done), left)


def examine(
    project: Project,
    snapshots: Sequence[Path],
    artist: Artist,
    settings: ExamTable,
    judge: Judge,
    world: TagSpace | None,
) -> Work[Verdict]:
    """Examine `snapshots` (in training order) of the project's adapter. Raises ExamError."""
    if not snapshots:
        raise ExamError(
            "there is no adapter to examine.", where=project.root, hint="Make one:", remedy=Do(Action.TRAIN)
        )
    subject, training = yield from look_at_training_set(project, settings, judge, world)
    traits = ", ".join(subject.identity.values())
    yield Note(f"The subject, as the judge sees it: {traits}.")
    racing = candidates(snapshots, settings.candidates)
    examinee = Examinee(project, subject, tuple(racing), training, judge, world, artist)
    choice = yield from _choose(examinee, settings)
    answers = yield from _answer_all(examinee, choice.chosen, settings)
    grid = yield from _draw_grid(examinee, settings)
    return _conclude(examinee, settings, choice, answers, grid)


def look_at_training_set(
    project: Project, settings: ExamTable, judge: Judge, world: TagSpace | None
) -> Work[tuple[Subject, tuple[Image, ...]]]:
    """Captions and judged images of the training set, read as a subject; the images come back small."""
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.images.crops import open_part
    from lorasmith.tags.pipeline import write_captions

    dataset = yield from read_dataset(project)
    captions = write_captions(project, dataset).captions
    items = [item for item in dataset.items if item.name in captions]
    seen: list[Attributes] = []
    training: list[Image] = []
    for chunk in _chunks(items):
        opened = [open_part(item.path, item.crop) for item in chunk]
        seen += judge.describe(opened)
        training += [small(image) for image in opened]
        yield Progress("looking", len(seen), len(items))
    subject = read_subject(
        trigger=project.lora.trigger,
        kind=str(project.lora.subject),
        captions=[captions[item.name] for item in items],
        seen=seen,
        groups=judge.groups,
        world=world,
        identity=settings.identity,
        ask=settings.ask,
    )
    return subject, tuple(training)


def _choose(examinee: Examinee, settings: ExamTable) -> Work[Choice]:
    """Halving on the choosing seeds; the base answers each leakage question once for all snapshots."""
    # A small exam must not spend more on choosing than on measuring.
    rounds = tuple(n for n in ROUNDS if n <= max(ROUNDS[0], settings.pictures))
    sheet = sheets.choosing_sheet(examinee.subject, examinee.world, rounds[-1], settings.seed)
    clock = _Clock("choosing", _race_cost(len(examinee.snapshots), rounds))
    base_seen: dict[int, Attributes] = {}

    def answer(snapshot: Path, start: int, stop: int) -> Work[list[bool]]:
        verdicts: list[bool] = []
        for numbers in _chunks(range(start, stop)):
            asked = [i for i in numbers if sheet[i].kind == "leakage" and i not in base_seen]
            rows = [Row(sheet[i].prompt, sheet[i].seed, snapshot, settings.strength) for i in numbers]
            rows += [Row(sheet[i].base_prompt, sheet[i].seed, None) for i in asked]
            seen = examinee.judge.describe(examinee.artist.draw(rows))
            base_seen.update(zip(asked, seen[len(numbers) :], strict=True))
            verdicts += [
                right(sheet[i], found, base_seen.get(i), examinee.subject)
                for i, found in zip(numbers, seen[: len(numbers)], strict=True)
            ]
            yield clock.tick(len(numbers))
        return verdicts

    choice = yield from choose(examinee.snapshots, answer, rounds)
    return choice


def _answer_all(examinee: Examinee, chosen: Path, settings: ExamTable) -> Work[list[Answer]]:
    """Fresh questions for the chosen snapshot, the base beside it on the same seeds (on a quarter of the hits)."""
    subject, world = examinee.subject, examinee.world
    hits = sheets.hit_sheet(subject, world, settings.pictures, settings.seed, sheets.REPORTING)
    flexible = sheets.flexibility_sheet(subject, world, settings.flexibility_count, settings.seed, sheets.REPORTING)
    leaks = sheets.leakage_sheet(subject, world, settings.leakage_count, settings.seed, sheets.REPORTING)
    beside = max(8, settings.pictures // 4)
    asked = [(question, number < beside or question.kind != "hit") for number, question in enumerate(hits)]
    plain = sheets.untriggered_sheet(subject, world, settings.untriggered_count, settings.seed, sheets.REPORTING)
    asked += [(question, True) for question in (*flexible, *leaks, *plain)]
    clock = _Clock("examining", len(asked) + sum(with_base for _, with_base in asked))
    answers: list[Answer] = []
    for chunk in _chunks(asked):
        rows: list[Row] = []
        for question, with_base in chunk:
            rows.append(Row(question.prompt, question.seed, chosen, settings.strength))
            if with_base:
                rows.append(Row(question.base_prompt, question.seed, None))
        pictures = examinee.artist.draw(rows)
        judged = iter(zip(examinee.judge.describe(pictures), map(small, pictures), strict=True))
        for question, with_base in chunk:
            seen, picture = next(judged)
            base_seen, base_picture = next(judged) if with_base else (None, None)
            answers.append(Answer(question, seen, base_seen, picture, base_picture))
        yield clock.tick(len(rows))
    return answers


def _draw_grid(examinee: Examinee, settings: ExamTable) -> Work[list[GridRow]]:
    """Snapshots x strengths on one prompt and seed, with the bare base as control (C1, C3)."""
    question = sheets.hit_sheet(examinee.subject, examinee.world, 1, settings.seed, sheets.SHOWING)[0]
    steps = settings.grid_steps
    rows = [Row(question.prompt, question.seed, None, steps=steps)]
    rows += [
        Row(question.prompt, question.seed, snapshot, strength, steps)
        for snapshot in examinee.snapshots
        for strength in settings.strengths
    ]
    pictures: list[Image] = []
    clock = _Clock("grid", len(rows))
    for chunk in _chunks(rows):
        pictures += map(small, examinee.artist.draw(chunk))
        yield clock.tick(len(chunk))
    wide = len(settings.strengths)
    return [
        GridRow(snapshot, pictures[0], tuple(pictures[1 + i * wide : 1 + (i + 1) * wide]), question.prompt)
        for i, snapshot in enumerate(examinee.snapshots)
    ]


def _conclude(
    examinee: Examinee, settings: ExamTable, choice: Choice, answers: list[Answer], grid: list[GridRow]
) -> Verdict:
    """Grade the answers and write the exam's folder."""
    subject, project = examinee.subject, examinee.project
    figures, base = grade(answers, subject)
    hits = [answer for answer in answers if answer.question.kind == "hit"]
    copies = find_copies(
        [thumbnail(answer.picture) for answer in hits], [thumbnail(image) for image in examinee.training]
    )
    figures["copying"] = copies.figure
    summary, advice = judge_figures(figures, base)
    folder = _new_folder(project.exams, project.lora.name)
    verdict = Verdict(
        chosen=choice.chosen,
        clear=choice.clear,
        figures=figures,
        base=base,
        summary=summary,
        advice=advice,
        folder=folder,
        facts=_facts(examinee, settings, choice, copies),
    )
    with replacing(folder) as fresh:
        for kind in ("hit", "flexibility", "leakage", "untriggered"):
            rows = [
                (a.picture, a.base_picture, right(a.question, a.seen, a.base_seen, subject))
                for a in answers
                if a.question.kind == kind
            ]
            if rows:
                write_file(fresh / "answers" / f"{kind}.png", _png(contact_sheet(rows)))
        write_file(fresh / "grid.png", _png(_grid_sheet(grid, settings)))
        write_file(fresh / "figures.json", json.dumps(verdict.as_json(), indent=2, ensure_ascii=False) + "\n")
        write_file(
            fresh / verdict.report.name,
            write_report(
                Shown(
                    name=project.lora.name,
                    subject=subject,
                    verdict=verdict,
                    choice=choice,
                    answers=answers,
                    grid=grid,
                    strengths=settings.strengths,
                    training=examinee.training,
                    copies=copies,
                    error_rates=examinee.judge.error_rates,
                    judge=examinee.judge.name,
                )
            ),
        )
    return verdict


def _grid_sheet(grid: Sequence[GridRow], settings: ExamTable) -> Image:
    return draw_sheet(
        [(row.control, *row.cells) for row in grid],
        columns=["no adapter", *(f"strength {strength:g}" for strength in settings.strengths)],
        rows=name_files([row.snapshot for row in grid]),
        title=grid[0].prompt,
    )


def _facts(examinee: Examinee, settings: ExamTable, choice: Choice, copies: Copying) -> dict[str, Any]:
    subject = examinee.subject
    return {
        "identity": dict(subject.identity),
        "unseen": {group: list(values) for group, values in subject.unseen.items()},
        "selection": choice.as_json(),
        "settings": settings.model_dump(mode="json"),
        "judge": {"name": examinee.judge.name, "rates": summarise_rates(examinee.judge.error_rates)},
        "copy_distance": round(copies.distance, 4),
    }


def _race_cost(snapshots: int, rounds: Sequence[int]) -> int:
    """Pictures that the halving will draw, without the base's."""
    if snapshots < 2:
        return 0
    cost, start, racing = 0, 0, snapshots
    for stop in rounds:
        cost += racing * (stop - start)
        start, racing = stop, max(2, -(-racing // 2))
    return cost


def _chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]


def _new_folder(exams: Path, name: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = exams / f"{stamp}-{safe_name(name)}"
    number = 2
    while folder.exists() or any(exams.glob(f".{folder.name}.*.partial")):  # of another exam in the same second
        folder = exams / f"{stamp}-{safe_name(name)}-{number}"
        number += 1
    return folder


def _png(image: Image) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()
