"""From all that was drawn to a verdict, and the exam's folder with its files."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.adapters.catalogue import name_files
from lorasmith.exam.advice import Evidence, advise, read_used_recipe
from lorasmith.exam.answers import KINDS, write_answers
from lorasmith.exam.contact import contact_sheet
from lorasmith.exam.copying import Copying, find_copies, thumbnail
from lorasmith.exam.folder import FIGURES, ExamFolder
from lorasmith.exam.grading import Answer, grade
from lorasmith.exam.judges import Judge, summarise_rates
from lorasmith.exam.likeness.encoders import Encoder
from lorasmith.exam.plan import ExamPlan
from lorasmith.exam.report import GridRow, Shown, StripCell, write_report
from lorasmith.exam.selection import Arm, Choice, choice_as_json
from lorasmith.exam.settings import ExamTable
from lorasmith.exam.stacking import Stack
from lorasmith.exam.standards import Standards
from lorasmith.exam.strength import Window, with_hits
from lorasmith.exam.verdict import Verdict, summarise
from lorasmith.generation.sheets import draw_sheet
from lorasmith.project import Project
from lorasmith.storage.files import replacing, write_file

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Outcome:
    """All that an exam saw. `pace`: seconds a picture, where this process drew any."""

    project: Project
    settings: ExamTable
    standards: Standards
    choice: Choice[Arm]
    window: Window
    strip: Sequence[StripCell]
    answers: Sequence[Answer]
    stacks: Sequence[Stack]
    grid: Sequence[GridRow]
    training: Sequence[Image]
    judge: Judge
    encoder: Encoder | None
    plan: ExamPlan
    pace: float | None
    snapshots: Sequence[Path]


def conclude(folder: ExamFolder, outcome: Outcome) -> Verdict:
    """Grade the answers and write the exam's folder; figures.json is written last but one, and ends the exam."""
    figures, base = grade(outcome.answers, outcome.standards)
    hits = [answer.look.picture for answer in outcome.answers if answer.question.kind == "hit"]
    copies = find_copies(list(map(thumbnail, hits)), list(map(thumbnail, outcome.training)))
    figures["copying"] = copies.figure
    outcome = replace(outcome, window=with_hits(outcome.window, figures["hit_rate"]))
    chosen = _settle(outcome.choice.chosen.snapshot, outcome.project, folder.path)
    evidence = Evidence(
        figures,
        base,
        outcome.window,
        outcome.choice,
        outcome.stacks,
        read_used_recipe(outcome.choice.chosen.snapshot),
        outcome.pace,
        outcome.snapshots[0] != outcome.choice.chosen.snapshot,
    )
    verdict = Verdict(
        chosen=chosen,
        clear=outcome.choice.clear,
        figures=figures,
        base=base,
        summary=summarise(figures, outcome.window.recommended),
        advice=advise(evidence),
        folder=folder.path,
        facts=_facts(outcome, copies),
    )
    _write_sheets(folder.path, outcome)
    shown = Shown(
        name=outcome.project.lora.name,
        subject=outcome.standards.subject,
        standards=outcome.standards,
        verdict=verdict,
        choice=outcome.choice,
        window=outcome.window,
        strip=outcome.strip,
        stacks=outcome.stacks,
        answers=outcome.answers,
        grid=outcome.grid,
        strengths=outcome.settings.strengths,
        training=outcome.training,
        copies=copies,
        error_rates=outcome.judge.error_rates,
        judge=outcome.judge.name,
    )
    write_answers(folder.path, shown)
    write_file(verdict.report, write_report(shown))
    write_file(folder.path / FIGURES, json.dumps(verdict.as_json(), indent=2, ensure_ascii=False) + "\n")
    folder.kept.drop()
    return verdict


def _settle(chosen: Path, project: Project, folder: Path) -> Path:
    """A snapshot stays where it is; a mean of snapshots that was chosen moves out of the cache."""
    if project.cache not in chosen.parents:
        return chosen
    place = folder / chosen.name
    with replacing(place) as partial:
        shutil.copyfile(chosen, partial)
    return place


def _write_sheets(folder: Path, outcome: Outcome) -> None:
    for kind in KINDS:
        rows = [
            (
                a.look.picture,
                None if a.base is None else a.base.picture,
                outcome.standards.right(a.question, a.look, a.base),
            )
            for a in outcome.answers
            if a.question.kind == kind
        ]
        if rows:
            write_file(folder / "answers" / f"{kind}.png", _png(contact_sheet(rows)))
    sheet = draw_sheet(
        [(row.control, *row.cells) for row in outcome.grid],
        columns=["no adapter", *(f"strength {strength:g}" for strength in outcome.settings.strengths)],
        rows=name_files([row.snapshot for row in outcome.grid]),
        title=outcome.grid[0].prompt,
    )
    write_file(folder / "grid.png", _png(sheet))


def _facts(outcome: Outcome, copies: Copying) -> dict[str, Any]:
    standards, subject = outcome.standards, outcome.standards.subject
    return {
        "identity": dict(subject.identity),
        "unseen": {group: list(values) for group, values in subject.unseen.items()},
        "strength": outcome.window.as_json(),
        "stacking": [stack.as_json() for stack in outcome.stacks],
        "judged": list(standards.judged),
        "not_judged": list(standards.not_judged),
        "likeness": {"encoder": outcome.encoder.name if outcome.encoder else None, **standards.likeness.as_json()},
        "selection": choice_as_json(outcome.choice),
        "settings": outcome.settings.model_dump(mode="json"),
        "judge": {"name": outcome.judge.name, "rates": summarise_rates(outcome.judge.error_rates)},
        "copy_distance": round(copies.distance, 4),
        "drawn": {"pictures": outcome.plan.pictures, "pace": outcome.pace and round(outcome.pace, 4)},
    }


def _png(image: Image) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()
