"""What the choice of a snapshot costs against the best one: the exam's, and three habits beside it.

Strangers are trained by their defaults, with eight snapshots and a tenth of the images held out. A snapshot's true
score is the share of right answers to 400 mixed questions (two hits, one flexibility, one leakage of every four) at
the strength that serves it best; regret is the best true score less that of the one taken. Beside the exam's choice:
the last snapshot, the lowest loss on held-out images, the best of 40 pictures each at strength 1.

Run: python -m benchmarks.choice_regret [--quick] [--only NAME ...] [--pictures N] [--out DIR]. What was drawn is kept
in DIR, so that it goes on where it was stopped; sets are those of ``python doodle/strangers.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import machine, ratio_line
from lorasmith.adapters.runs import run_adapters
from lorasmith.bases.base import Base, open_base
from lorasmith.dataset.create import create_project
from lorasmith.dataset.reading import read_dataset
from lorasmith.dataset.sources.source import SourceOptions
from lorasmith.events import Done, finish
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.examination import Examinee, choose_snapshot, find_standards
from lorasmith.exam.looks import Kept, Look, Observer
from lorasmith.exam.nominees import held_out_losses, nearest_loss, with_average
from lorasmith.exam.questions import Paper, Question
from lorasmith.exam.settings import read_settings
from lorasmith.exam.sitting import Clock, Sitting
from lorasmith.exam.sources import find_encoder, find_judge
from lorasmith.exam.standards import Standards
from lorasmith.exam.training_set import look_at_training_set
from lorasmith.face.stages import gather_tags, tidy_images, train_project
from lorasmith.project import EMBEDDED, Project, SubjectKind, open_project
from lorasmith.storage.files import write_file

HERE = Path(__file__).parents[1]
SETS = Path(os.environ.get("DOODLE_WORK", HERE / "doodle/work")) / "strangers"
SMALL = HERE / "tests/strangers"
SNAPSHOTS = 8
STRENGTHS = (0.6, 0.8, 1.0, 1.2)
PROBED = 48
"""Questions at each strength, to find a snapshot's best one."""
HABIT = 40
TRUE_SEED = 77_000
"""Questions of the truth are on seeds of their own."""
WAYS = ("exam", "last", "lowest validation loss", "best of 40 pictures")


def make_project(file: Path, root: Path) -> Project:
    """new, curate auto, tag, as the road's defaults have it; what is there already stays."""
    if (root / "lora.toml").exists():
        return open_project(root)
    told = json.loads(file.read_text("utf-8"))
    finish(
        create_project(
            root,
            subject=SubjectKind(told["kind"]),
            name=None,
            trigger=told["trigger"],
            sources=[file.with_suffix("")],
            options=SourceOptions(False, ""),
        )
    )
    project = open_project(root)
    finish(tidy_images(project))
    finish(gather_tags(project, finish(read_dataset(project)), tagger=EMBEDDED))
    return project


def train(project: Project, quick: bool) -> tuple[Path, float]:
    """The run's folder and its seconds; trained once."""
    run, note = project.runs / "regret", project.root / "trained.json"
    if note.exists():
        return run, float(json.loads(note.read_text())["seconds"])
    settings: dict[str, str] = {"validation.share": "0.1"}
    if quick:
        settings |= {"target_steps": "4", "preserve.kind": '"none"', "save_every": '"2 steps"'}
    else:
        from lorasmith.recipe.recipe import read_recipe

        steps = read_recipe(project).target_steps
        settings["save_every"] = f'"{max(1, steps // SNAPSHOTS)} steps"'
    began = time.monotonic()
    done = finish(train_project(project, settings, run=run, resume=run.exists()))
    assert isinstance(done, Done)
    seconds = time.monotonic() - began
    write_file(note, json.dumps({"seconds": seconds}))
    return run, seconds


class Truth:
    """The true scores of a run's snapshots, and what each question was answered."""

    def __init__(self, examinee: Examinee, standards: Standards, count: int) -> None:
        self.sitting, self.standards = examinee.sitting, standards
        paper = Paper(examinee.subject, examinee.paper.world, TRUE_SEED)
        self.asked = paper.mixed(count)
        self.base: dict[int, Look] = {}

    def score(self, snapshot: Path) -> tuple[float, float]:
        """(share right of all questions, the strength): at the strength that is best for a part of them."""
        part = self.asked[:PROBED]
        best = max(STRENGTHS, key=lambda strength: sum(self._right(snapshot, strength, part)))
        right = self._right(snapshot, best, self.asked)
        return sum(right) / len(right), best

    def _right(self, snapshot: Path, strength: float, asked: Sequence[Question]) -> list[bool]:
        leaks = [i for i, question in enumerate(asked) if question.kind == "leakage" and i not in self.base]
        clock = Clock("truth", len(asked) + len(leaks))
        rows = [Row(asked[i].base_prompt, asked[i].seed, None) for i in leaks]
        self.base.update(zip(leaks, finish(self.sitting.look_at_all(clock, rows)), strict=True))
        rows = [Row(question.prompt, question.seed, snapshot, strength) for question in asked]
        looks = finish(self.sitting.look_at_all(clock, rows))
        pairs = enumerate(zip(asked, looks, strict=True))
        return [self.standards.right(question, look, self.base.get(i)) for i, (question, look) in pairs]


def examine_run(project: Project, run: Path, base: Base, pictures: int, seconds: float, quick: bool) -> dict[str, Any]:
    """The choices that the exam and the habits make, and what each snapshot is truly worth."""
    few = {"pictures": 8, "steps": 2, "candidates": 2} if quick else {"steps": 8}
    settings = read_settings(project, few)
    judge, world = find_judge(project, settings, EMBEDDED)
    encoder = find_encoder(project, settings)
    subject, training = finish(look_at_training_set(project, settings, judge, world, True))
    snapshots = run_adapters(run)
    racing = with_average(snapshots, settings.candidates, project.cache)
    every = list(dict.fromkeys([*snapshots, *racing]))
    artist = PipelineArtist(base, every, settings)
    sitting = Sitting(artist, Observer(judge, encoder), Kept(project.root / "kept"))
    paper = Paper(subject, world, settings.seed)
    examinee = Examinee(project, subject, tuple(racing), training, judge, paper, sitting, settings)
    standards, _ = finish(find_standards(examinee))
    began, drawn = sitting.seconds, sitting.pictures + sitting.found
    choice = finish(choose_snapshot(examinee, standards))
    pace = (sitting.seconds - began) / max(1, sitting.pictures)
    chosen = sitting.pictures + sitting.found - drawn
    truth = Truth(examinee, standards, pictures)
    scores = {path: truth.score(path) for path in every}
    losses = held_out_losses(run)
    hits = paper.ask("hit", 8 if quick else HABIT, 9)

    def liked(path: Path) -> int:
        rows = [Row(question.prompt, question.seed, path, 1.0) for question in hits]
        looks = finish(sitting.look_at_all(Clock("habit", len(rows)), rows))
        return sum(standards.hit(question, look) for question, look in zip(hits, looks, strict=True))

    taken = {
        "exam": choice.chosen.snapshot,
        "last": snapshots[-1],
        "lowest validation loss": min(snapshots, key=lambda path: nearest_loss(losses, path) or float("inf")),
        "best of 40 pictures": max(snapshots, key=liked),
    }
    best = max(score for score, _ in scores.values())
    return {
        "best": best,
        "scores": {path.stem: [round(score, 4), strength] for path, (score, strength) in scores.items()},
        "taken": {way: path.stem for way, path in taken.items()},
        "regret": {way: round(best - scores[path][0], 4) for way, path in taken.items()},
        "clear": choice.clear,
        "choice_pictures": chosen,
        "choice_share": round(chosen * pace / seconds, 4) if seconds and pace else None,
    }


def tell(results: Mapping[str, Mapping[str, Any]]) -> None:
    """A table, in points."""
    print(f"{'':<12}{'best':>7}" + "".join(f"{way:>25}" for way in WAYS))
    for name, result in results.items():
        print(f"{name:<12}{result['best']:>7.1%}" + "".join(f"{result['regret'][way] * 100:>25.1f}" for way in WAYS))
    for label, of in (("mean", statistics.mean), ("90th", _ninetieth)):
        values = [of([result["regret"][way] * 100 for result in results.values()]) for way in WAYS]
        print(f"{label:<19}" + "".join(f"{value:>25.2f}" for value in values))


def _ninetieth(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(0.9 * (len(ordered) - 1)))]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choice_regret", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small set, few steps: only whether it runs")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these sets alone")
    parser.add_argument("--pictures", type=int, default=400, help="questions for each true score")
    parser.add_argument("--out", type=Path, default=HERE / "benchmarks/out/choice_regret", metavar="DIR")
    chosen = parser.parse_args(argv)
    folder, out = SETS, chosen.out
    if chosen.quick:
        folder, out, chosen.pictures = SMALL, chosen.out / "quick", 8
        chosen.only = chosen.only or ["ravn"]
    files = [file for file in sorted(folder.glob("*.json")) if not chosen.only or file.stem in chosen.only]
    if not files:
        parser.error(f"{folder} has no such sets: node and python doodle/strangers.py make them")
    print(machine())
    base = open_base(EMBEDDED, "auto", "exam")
    results: dict[str, Mapping[str, Any]] = {}
    for file in files:
        document = out / f"{file.stem}-{chosen.pictures}.json"
        if not document.exists():
            project = make_project(file, out / "projects" / file.stem)
            run, seconds = train(project, chosen.quick)
            found = examine_run(project, run, base, chosen.pictures, seconds, chosen.quick)
            write_file(document, json.dumps(found, indent=1))
        results[file.stem] = json.loads(document.read_text("utf-8"))
        print(f"{file.stem}: {results[file.stem]['regret']}", flush=True)
    tell(results)
    regrets = {way: [result["regret"][way] * 100 for result in results.values()] for way in WAYS}
    print(ratio_line("mean regret of the exam's choice, points", statistics.mean(regrets["exam"]), at_most=1.5))
    print(ratio_line("its 90th percentile, points", _ninetieth(regrets["exam"]), at_most=4))
    for way in WAYS[1:]:
        ahead = statistics.mean(regrets[way]) - statistics.mean(regrets["exam"])
        print(ratio_line(f"points better than {way}", ahead, at_least=0))
    shares = [result["choice_share"] for result in results.values() if result["choice_share"] is not None]
    if shares:
        print(ratio_line("choosing over training, seconds", statistics.mean(shares), at_most=0.15))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
