"""Whether the exam's hit, picture by picture, is what the renderer knows to be true of strangers.

For each project with a run: hit questions as the exam asks them (those that ask for a portrait, whose places are
known), drawn with some of its snapshots at several strengths, so that good, half-learnt and spoilt pictures are among
them. The exam's verdict is words, likeness and whole pictures (`lorasmith.exam.standards`); the truth is colours at
known places and a style's pixels (`stranger_truth`), with the judge's word for style and the shape of the hair, which
no colour tells. The truth does not know whole pictures: what the exam calls broken is told apart in the table.

Run: python -m benchmarks.exam_truth PROJECT ... [--quick] [--per N] [--snapshots N] [--strength X ...] [--out DIR].
Projects bear their sets' names (`python -m benchmarks.strangers` and `benchmarks.choice_regret` make them); `--quick`
makes one of a small set, and shows only whether it runs. What was drawn stays in DIR; DIR/NAME.json has every verdict,
DIR/NAME-exam.png and -truth.png the pictures that only one of the two calls hits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from benchmarks.choice_regret import make_project, train
from benchmarks.stranger_truth import Truth, confusing, read_truth
from benchmarks.strangers import COVERS, HERE, SETS, SMALL, Asked, Bench, is_right, tag_of
from benchmarks.timing import machine, ratio_line
from lorasmith.adapters.runs import newest_adapters
from lorasmith.bases.doodle import world
from lorasmith.events import finish
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.examination import Examinee, find_standards
from lorasmith.exam.figures import wilson
from lorasmith.exam.looks import Kept, Observer
from lorasmith.exam.questions import REPORTING, Paper, Question
from lorasmith.exam.settings import read_settings
from lorasmith.exam.sitting import Clock, Sitting
from lorasmith.exam.sources import find_encoder, find_judge
from lorasmith.exam.training_set import look_at_training_set
from lorasmith.project import EMBEDDED, Project, open_project
from lorasmith.storage.files import write_file
from lorasmith.tags.words import split_tags

STRENGTHS = (0.6, 0.8, 1.0)
Verdicts = list[dict[str, Any]]


def asked_of(truth: Truth, question: Question) -> Asked | None:
    """What the truth must find in a picture of the exam's question; None where it cannot tell."""
    tags = split_tags(question.prompt)
    styles = {spec["tag"]: name for name, spec in world()["styles"].items()}
    style = truth.told["style"] or next((styles[tag] for tag in tags if tag in styles), None)
    covered = {tag_of("accessory", value) for value in COVERS.get(truth.told["trait"], ())}
    if confusing(truth).intersection(tags) or covered.intersection(tags):
        return None
    if truth.look is not None:
        return Asked(question.prompt, question.seed, None, {})
    if "portrait" not in tags or style not in truth.seeks:
        return None
    must = {"style": world()["styles"][style]["tag"]}
    if "hair" in truth.told["identity"] and "hair" not in question.hidden:
        must["hair"] = truth.told["identity"]["hair"]
    return Asked(question.prompt, question.seed, style, must)


def compare(
    bench: Bench, project: Project, truth: Truth, per: int, count: int, strengths: Sequence[float], known: int = 100
) -> Verdicts:
    """`per` questions at each strength with `count` of the newest run's snapshots, evenly, the last one always."""
    settings = read_settings(project, {"steps": 8, "pictures": known})
    judge, space = find_judge(project, settings, EMBEDDED)
    subject, training = finish(look_at_training_set(project, settings, judge, space, True))
    files = newest_adapters(project.runs)
    snapshots = sorted({files[-1 - round(n * len(files) / count)] for n in range(count)}, key=files.index)
    artist = PipelineArtist(bench.base, snapshots, settings)
    observer = Observer(judge, find_encoder(project, settings))
    sitting = Sitting(artist, observer, Kept(bench.out / "kept" / project.root.name))
    paper = Paper(subject, space, settings.seed)
    standards, _ = finish(find_standards(Examinee(project, subject, tuple(snapshots), training, judge, paper, sitting,
                                                  settings)))  # fmt: skip
    sheet = paper.ask("hit", 40 * per, REPORTING)
    told = [(question, asked) for question in sheet if (asked := asked_of(truth, question))][:per]
    cells = [(snapshot, strength) for snapshot in snapshots for strength in strengths]
    rows = [Row(question.prompt, question.seed, file, strength) for file, strength in cells for question, _ in told]
    looks = iter(finish(sitting.look_at_all(Clock("drawing", len(rows)), rows)))
    found: Verdicts = []
    for snapshot, strength in cells:
        for question, asked in told:
            look = next(looks)
            true = is_right(truth, asked, look.picture, look.seen)
            found.append({
                "snapshot": snapshot.stem, "strength": strength, "prompt": question.prompt, "seed": question.seed,
                "exam": standards.hit(question, look), "says": standards.says(question, look),
                "like": standards.is_like(look), "faults": list(standards.faults(look)),
                "truth": all(true.values()), "marks": true, "judged": list(standards.judged), "picture": look.picture,
            })  # fmt: skip
    return found


def keep(found: Verdicts, folder: Path, name: str) -> None:
    """Verdicts as JSON, and the pictures in which the two differ, to look at."""
    for who in ("exam", "truth"):
        alone = [each for each in found if each[who] and each["exam"] != each["truth"]]
        if alone:
            draw_sheet(alone).save(folder / f"{name}-{who}.png")
    told = [{key: value for key, value in each.items() if key != "picture"} for each in found]
    write_file(folder / f"{name}.json", json.dumps(told, indent=1))


def draw_sheet(verdicts: Verdicts, columns: int = 8, side: int = 160) -> Image.Image:
    """Pictures with what each of the two missed."""
    sheet = Image.new("RGB", (columns * side, -(-len(verdicts) // columns) * (side + 26)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, each in enumerate(verdicts):
        left, top = place % columns * side, place // columns * (side + 26)
        sheet.paste(each["picture"].resize((side, side)), (left, top))
        missed = [name for name in ("says", "like") if not each[name]] + each["faults"]
        untrue = [name for name, right in each["marks"].items() if not right]
        pen.text((left + 2, top + side), f"{place} {each['strength']:g} exam: {', '.join(missed) or 'hit'}", "black")
        pen.text((left + 2, top + side + 12), f"truth: {', '.join(untrue) or 'hit'}", "black")
    return sheet


def tell(results: Mapping[str, Verdicts]) -> list[str]:
    """A line a set, and all together; agreement with its interval, and what each of the two calls hits alone."""
    print(f"{'set':10}{'n':>5}{'exam':>7}{'truth':>7}{'agree':>8}   only exam  only truth (says, like, whole)   judged")
    for name, found in results.items():
        only = [each for each in found if each["truth"] and not each["exam"]]
        parts = [sum(not each["says"] for each in only), sum(not each["like"] for each in only),
                 sum(bool(each["faults"]) for each in only)]  # fmt: skip
        alone = sum(each["exam"] and not each["truth"] for each in found)
        print(f"{name:10}{len(found):5}{_share(found, 'exam'):7.2f}{_share(found, 'truth'):7.2f}{_agreeing(found):8.3f}"
              f"{alone:9}{len(only):12}  ({parts[0]}, {parts[1]}, {parts[2]}){'':12}{', '.join(found[0]['judged'])}"
              )  # fmt: skip
    every = [each for found in results.values() for each in found]
    figure = wilson(sum(each["exam"] == each["truth"] for each in every), len(every))
    print(f"all: agreement {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}, n = {figure.n})")
    return [ratio_line("agreement of the exam's hit with the truth", figure.value, at_least=0.93)]


def _share(found: Verdicts, who: str) -> float:
    return float(sum(each[who] for each in found) / len(found))


def _agreeing(found: Verdicts) -> float:
    return float(sum(each["exam"] == each["truth"] for each in found) / len(found))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exam_truth", description=__doc__.splitlines()[0])
    parser.add_argument("projects", nargs="*", type=Path, metavar="PROJECT")
    parser.add_argument("--quick", action="store_true", help="a small set, few steps: only whether it runs")
    parser.add_argument("--per", type=int, default=16, help="questions at each strength of each snapshot")
    parser.add_argument("--snapshots", type=int, default=2, help="snapshots of the newest run, the last one always")
    parser.add_argument("--strength", type=float, nargs="*", default=STRENGTHS, metavar="X")
    parser.add_argument("--out", type=Path, default=HERE / "benchmarks/out/exam_truth", metavar="DIR")
    chosen = parser.parse_args(argv)
    sets, out, known, projects = SETS, chosen.out, 100, list(chosen.projects)
    if chosen.quick:
        sets, out, known = SMALL, chosen.out / "quick", 16
        chosen.per, chosen.snapshots, chosen.strength = 2, 1, STRENGTHS[-1:]
        made = make_project(SMALL / "ravn.json", out / "projects/ravn")
        train(made, True)
        projects = [made.root]
    if not projects:
        parser.error("name projects of strangers with runs, or --quick")
    print(machine())
    bench = Bench(out, chosen.per)
    results: dict[str, Verdicts] = {}
    for root in projects:
        truth = read_truth(sets / f"{root.name}.json", bench.bare, bench.through)
        found = compare(bench, open_project(root), truth, chosen.per, chosen.snapshots, chosen.strength, known)
        keep(found, out, root.name)
        results[root.name] = found
        print(f"{root.name}: {_agreeing(found):.3f} of {len(found)}", flush=True)
    print("\n".join(tell(results)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
