"""What the choice of a snapshot costs against the best one: the exam's, and three habits beside it.

Strangers are trained by their defaults, with eight snapshots and a tenth of the images held out. A snapshot's true
score is the share of right answers to mixed questions (two hits, one flexibility, one leakage of every four) at the
strength that serves it best; regret is the best true score less that of the one taken, pair by pair on the same
questions and seeds. Beside the exam's choice: the last snapshot, the lowest loss on held-out images, the best of 40
pictures each at strength 1.

All snapshots answer the same questions, look by look (LOOKS); after each one those drop out whose paired 95 % interval
does not reach the best. So 400 pictures are drawn only of those that may be the best, and of those that were taken.
That the best is the best of several on these very pictures makes every regret too large; `fresh` finds it on one half
and measures its lead on the other.

Run: python -m benchmarks.choice_regret [--quick] [--only NAME ...] [--pictures N] [--out DIR]. What was drawn is kept
in DIR batch by batch, so that it goes on where it was stopped, and from fewer pictures to more; sets are those of
``python doodle/strangers.py``. One process with one thread: OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import machine, ratio_line
from lorasmith.adapters.container import read_header
from lorasmith.adapters.runs import run_adapters
from lorasmith.bases.base import Base, open_base
from lorasmith.dataset.create import create_project
from lorasmith.dataset.reading import read_dataset
from lorasmith.dataset.sources.source import SourceOptions
from lorasmith.events import Done, finish
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.examination import Examinee, choose_snapshot, find_standards
from lorasmith.exam.figures import paired_difference
from lorasmith.exam.looks import Kept, Look, Observer
from lorasmith.exam.nominees import held_out_losses, nearest_loss, with_average
from lorasmith.exam.questions import Paper
from lorasmith.exam.selection import Arm, choice_as_json
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
STRENGTHS = (0.8, 1.0)
LOOKS = (32, 48, 112, 208, 400)
"""Questions after which the true scores are compared (cumulative, whole batches)."""
PROBED = 48
"""Questions by which a snapshot's better strength is known; only that one goes on."""
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
    """The run's folder and the processor seconds of its training (of a resumed run: by the steps that were left);
    trained once."""
    run, note = project.runs / "regret", project.root / "trained.json"
    if note.exists():
        return run, float(json.loads(note.read_text())["cpu"])
    settings: dict[str, str] = {"validation.share": "0.1"}
    if quick:
        settings |= {"target_steps": "4", "preserve.kind": '"none"', "save_every": '"2 steps"'}
    else:
        from lorasmith.recipe.recipe import read_recipe

        steps = read_recipe(project).target_steps
        assert steps is not None, "the embedded base's presets count in steps"
        settings["save_every"] = f'"{max(1, steps // SNAPSHOTS)} steps"'
    before = _steps(run)
    began = time.process_time()
    done = finish(train_project(project, settings, run=run, resume=run.exists()))
    assert isinstance(done, Done)
    total = _steps(run)
    cpu = (time.process_time() - began) * total / max(1, total - before)
    write_file(note, json.dumps({"cpu": cpu, "steps": total}))
    return run, cpu


def _steps(run: Path) -> int:
    """Steps behind a run's newest snapshot; 0 before there is one."""
    snapshots = run_adapters(run) if run.exists() else []
    return int(read_header(snapshots[-1]).metadata["ss_steps"]) if snapshots else 0


class Truth:
    """What each arm of a run answered to common questions: `right`, as far as it came."""

    def __init__(self, examinee: Examinee, standards: Standards, count: int) -> None:
        self.sitting, self.standards, self.count = examinee.sitting, standards, count
        self.asked = Paper(examinee.subject, examinee.paper.world, TRUE_SEED).mixed(count)
        self.base: dict[int, Look] = {}
        self.right: dict[Arm, list[bool]] = {}

    def race(self, snapshots: Sequence[Path]) -> None:
        """All that may be the best answer everything, the others only until that is known."""
        racing = [Arm(snapshot, strength) for snapshot in snapshots for strength in STRENGTHS]
        for stop in (*(look for look in LOOKS if look < self.count), self.count):
            for arm in racing:
                self.answer(arm, stop)
            racing = still_racing(racing, self.right)

    def arm(self, snapshot: Path) -> Arm:
        """A snapshot at its better strength."""
        mine = [arm for arm in self.right if arm.snapshot == snapshot]
        return max(mine, key=lambda arm: (len(self.right[arm]), sum(self.right[arm])))

    def answer(self, arm: Arm, stop: int) -> None:
        """The arm's answers up to question `stop`, in the batches of the looks."""
        right = self.right.setdefault(arm, [])
        for look in (*(look for look in LOOKS if look < stop), stop):
            numbers = range(len(right), look)
            leaks = [i for i in numbers if self.asked[i].kind == "leakage" and i not in self.base]
            clock = Clock("truth", len(numbers) + len(leaks))
            rows = [Row(self.asked[i].base_prompt, self.asked[i].seed, None) for i in leaks]
            self.base.update(zip(leaks, finish(self.sitting.look_at_all(clock, rows)), strict=True))
            rows = [Row(self.asked[i].prompt, self.asked[i].seed, arm.snapshot, arm.strength) for i in numbers]
            looks = finish(self.sitting.look_at_all(clock, rows))
            pairs = zip(numbers, looks, strict=True)
            right += [self.standards.right(self.asked[i], seen, self.base.get(i)) for i, seen in pairs]


def still_racing(racing: Sequence[Arm], right: Mapping[Arm, Sequence[bool]]) -> list[Arm]:
    """Those whose paired interval reaches the leader; of a snapshot only its better strength, once that is known."""
    leader = max(racing, key=lambda arm: sum(right[arm]))
    left = [arm for arm in racing if arm == leader or paired_difference(right[leader], right[arm])[1] <= 0]
    if len(right[leader]) < PROBED:
        return left
    better: dict[Path, Arm] = {}
    for arm in sorted(left, key=lambda arm: -sum(right[arm])):
        better.setdefault(arm.snapshot, arm)
    return [arm for arm in left if better[arm.snapshot] == arm]


def find_regret(right: Mapping[Arm, Sequence[bool]], taken: Arm) -> dict[str, float]:
    """`value` with `low` and `high`: the lead of the best of all that answered as many questions as `taken`; `fresh`:
    the same with the best found on one half of the questions and its lead measured on the other."""
    known = {arm: answers for arm, answers in right.items() if len(answers) == len(right[taken])}
    best = max(known, key=lambda arm: sum(known[arm]))
    value, low, high = paired_difference(known[best], known[taken])
    fours = range(0, len(known[taken]), 4)
    halves = [[i for start in fours[first::2] for i in range(start, start + 4)] for first in (0, 1)]
    leads = []
    for here, there in (halves, halves[::-1]):
        found = max(known, key=lambda arm: sum(known[arm][i] for i in here))
        leads += [known[found][i] - known[taken][i] for i in there]
    fresh = statistics.mean(leads)
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4), "fresh": round(fresh, 4)}


def examine_run(project: Project, run: Path, base: Base, pictures: int, cpu: float, quick: bool) -> dict[str, Any]:
    """The choices that the exam and the habits make, and what each snapshot is truly worth."""
    few = {"pictures": 8, "steps": 2, "candidates": 2} if quick else {"steps": 8}
    settings = read_settings(project, few)
    judge, world = find_judge(project, settings, EMBEDDED)
    encoder = find_encoder(project, settings)
    subject, training = finish(look_at_training_set(project, settings, judge, world, True))
    snapshots = run_adapters(run)
    racing = with_average(snapshots, settings.candidates, project.cache)
    every = list(dict.fromkeys([*snapshots, *racing]))
    sitting = Sitting(PipelineArtist(base, every, settings), Observer(judge, encoder), Kept(project.root / "kept"))
    examinee = Examinee(
        project, subject, tuple(racing), training, judge, Paper(subject, world, settings.seed), sitting, settings
    )
    began = time.process_time()
    standards, _ = finish(find_standards(examinee))
    calibrated = sitting.pictures + sitting.found
    choice = finish(choose_snapshot(examinee, standards))
    pace = (time.process_time() - began) / sitting.pictures if sitting.pictures else None
    pace = _keep(project.root / "pace.json", pace)
    chosen = sitting.pictures + sitting.found - calibrated
    print(f"{project.lora.name}: exam chose {choice.chosen.snapshot.stem} at {choice.chosen.strength:g}", flush=True)
    taken = {
        "exam": choice.chosen.snapshot,
        "last": snapshots[-1],
        "lowest validation loss": _least_loss(snapshots, run),
        "best of 40 pictures": _best_looking(examinee, standards, snapshots, 8 if quick else HABIT),
    }
    truth = Truth(examinee, standards, pictures)
    truth.race(every)
    arms = {way: truth.arm(snapshot) for way, snapshot in taken.items()}
    for arm in arms.values():
        truth.answer(arm, pictures)
    scores = {arm: sum(right) / len(right) for arm, right in truth.right.items()}
    return {
        "steps": _steps(run),
        "best": max(score for arm, score in scores.items() if len(truth.right[arm]) == pictures),
        "scores": [
            [arm.snapshot.stem, arm.strength, round(score, 4), len(truth.right[arm])] for arm, score in scores.items()
        ],
        "taken": {way: [arm.snapshot.stem, arm.strength] for way, arm in arms.items()},
        "regret": {way: find_regret(truth.right, arm) for way, arm in arms.items()},
        "clear": choice.clear,
        "choice_strength": choice.chosen.strength,
        "choice_pictures": chosen,
        "choice_share": round(chosen * pace / cpu, 4),
        "rounds": choice_as_json(choice)["rounds"],
    }


def _keep(note: Path, pace: float | None) -> float:
    """Processor seconds a picture of the exam's choice, as they were when it was drawn."""
    if pace is not None and not note.exists():
        write_file(note, json.dumps(pace))
    return float(json.loads(note.read_text()))


def _least_loss(snapshots: Sequence[Path], run: Path) -> Path:
    losses = held_out_losses(run)

    def loss(path: Path) -> float:
        found = nearest_loss(losses, path)
        return float("inf") if found is None else found

    return min(snapshots, key=loss)


def _best_looking(examinee: Examinee, standards: Standards, snapshots: Sequence[Path], count: int) -> Path:
    """The one with the most hits of `count` at strength 1."""
    hits = examinee.paper.ask("hit", count, 9)

    def liked(path: Path) -> int:
        rows = [Row(question.prompt, question.seed, path, 1.0) for question in hits]
        looks = finish(examinee.sitting.look_at_all(Clock("habit", len(rows)), rows))
        return sum(standards.hit(question, look) for question, look in zip(hits, looks, strict=True))

    return max(snapshots, key=liked)


def tell(results: Mapping[str, Mapping[str, Any]]) -> None:
    """A table, in points; in brackets the paired interval of one run, and of the mean over runs (bootstrap)."""
    print(f"{'':<8}{'best':>6}" + "".join(f"{way:>24}" for way in WAYS))
    for name, result in results.items():
        told = [[100 * result["regret"][way][key] for key in ("value", "low", "high")] for way in WAYS]
        cells = [f"{value:.1f} ({low:.1f} to {high:.1f})" for value, low, high in told]
        print(f"{name:<8}{result['best']:>6.1%}" + "".join(f"{cell:>24}" for cell in cells))
    for key in ("value", "fresh"):
        cells = []
        for way in WAYS:
            values = [100 * result["regret"][way][key] for result in results.values()]
            chance = random.Random(0)
            means = sorted(statistics.mean(chance.choices(values, k=len(values))) for _ in range(2000))
            cells.append(f"{statistics.mean(values):.2f} ({means[50]:.1f} to {means[-51]:.1f})")
        print(f"{'mean' if key == 'value' else 'mean, fresh':<14}" + "".join(f"{cell:>24}" for cell in cells))
    ends = [_ninetieth([100 * result["regret"][way]["value"] for result in results.values()]) for way in WAYS]
    print(f"{'90th':<14}" + "".join(f"{value:>24.2f}" for value in ends))


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
            run, cpu = train(project, chosen.quick)
            found = examine_run(project, run, base, chosen.pictures, cpu, chosen.quick)
            write_file(document, json.dumps(found, indent=1))
        results[file.stem] = json.loads(document.read_text("utf-8"))
        print(f"{file.stem}: {json.dumps(results[file.stem]['regret'])}", flush=True)
    tell(results)
    regrets = {way: [result["regret"][way]["value"] * 100 for result in results.values()] for way in WAYS}
    print(ratio_line("mean regret of the exam's choice, points", statistics.mean(regrets["exam"]), at_most=1.5))
    print(ratio_line("its 90th percentile, points", _ninetieth(regrets["exam"]), at_most=4))
    for way in WAYS[1:]:
        ahead = statistics.mean(regrets[way]) - statistics.mean(regrets["exam"])
        print(ratio_line(f"points better than {way}", ahead, at_least=0))
    shares = [result["choice_share"] for result in results.values()]
    print(ratio_line("choosing over training, processor seconds", statistics.mean(shares), at_most=0.15))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
