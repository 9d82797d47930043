"""Seven algorithms on seven persons that the embedded base has never seen: what each learns in the same steps.

Every algorithm is first tried with two or three learning rates on the shipped example, which is none of the seven; the
best one is kept. Then each trains on each person and is examined. No row is preserved: the table is about the
algorithms. It ends as the table of docs/algorithms.md.

Run: python -m benchmarks.subjects [--quick] [--keep DIR]. It needs the persons' pictures, which
``node doodle/render/subjects.mjs`` draws, and takes about an hour on two cores; with ``--keep`` it goes on where it was
stopped, and with ``--person`` several processes can share the work.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from benchmarks.curation_effect import IDENTITY
from benchmarks.timing import machine, ratio_line
from lorasmith.bases.base import Base, open_base
from lorasmith.events import finish
from lorasmith.exam.figures import wilson
from lorasmith.exam.run import run_exam
from lorasmith.examples import copy_example
from lorasmith.project import Project, open_project, safe_name
from lorasmith.recipe.recipe import read_recipe
from lorasmith.storage.files import write_file
from lorasmith.training.loop import train

PICTURES = Path(os.environ.get("DOODLE_WORK", Path(__file__).parents[1] / "doodle/work")) / "subjects"

AS_IT_STANDS = {"strength": 1.0, "window_pictures": 0, "override_pictures": 0, "stacking_pictures": 0}
"""At strength 1, and nothing else is measured."""


@dataclass(frozen=True)
class Contender:
    """An algorithm with its recipe keys, and the learning rates of the denoiser that are tried."""

    name: str
    keys: Mapping[str, Any]
    rates: tuple[float, ...]


CONTENDERS = (
    Contender("LoRA", {"algorithm": "lora", "rank": 8, "alpha": 8}, (3e-3, 6e-3)),
    Contender("LoCon", {"algorithm": "lora", "rank": 8, "alpha": 8, "conv.rank": 8}, (3e-3, 6e-3)),
    Contender("LoKr", {"algorithm": "lokr", "rank": 8, "alpha": 8}, (4e-3, 1e-2, 2e-2)),
    Contender("LoHa", {"algorithm": "loha", "rank": 4, "alpha": 4}, (4e-3, 1e-2, 2e-2)),
    Contender("DoRA", {"algorithm": "lora", "rank": 8, "alpha": 8, "dora": True}, (3e-3, 6e-3)),
    Contender("DyLoRA", {"algorithm": "dylora", "rank": 8, "alpha": 8}, (6e-3, 1.2e-2)),
    Contender("(IA)^3", {"algorithm": "ia3"}, (4e-2, 1e-1)),
)


@dataclass(frozen=True)
class Mark:
    """What an exam said of one adapter: shares, how many pictures they are of, and the file's numbers."""

    hits: int
    pictures: int
    flexibility: float
    leakage: float
    numbers: int

    @property
    def score(self) -> float:
        return self.hits / self.pictures + self.flexibility - self.leakage


@dataclass(frozen=True)
class Effort:
    """How much is done: steps of training, pictures for the hit rate, pictures for each of the other figures."""

    steps: int = 120
    pictures: int = 32
    others: int = 8


def project_of(root: Path, trigger: str, images: Path) -> Project:
    """A project for the images of a person."""
    project = root / trigger
    shutil.copytree(images, project / "images", dirs_exist_ok=True)
    text = f'[lora]\nname = "{trigger}"\nsubject = "character"\ntrigger = "{trigger}"\nbase = "doodle"\n'
    (project / "lora.toml").write_text(text, "utf-8")
    return open_project(project)


def mark_of(
    project: Project, identity: Sequence[str], contender: Contender, rate: float, effort: Effort, base: Base
) -> Mark:
    """Train a contender at a rate, or take up what is there, and examine it."""
    name = safe_name(f"{contender.name} {rate:g}")
    file = project.root / f"{name}.json"
    if file.exists():
        return Mark(**json.loads(file.read_text("utf-8")))
    # The text encoder learns by four thirds of the denoiser's rate, as in the preset.
    rates = {"lr.unet": rate, "lr.text_encoder": round(rate * 4 / 3, 6)}
    fixed = {"target_steps": effort.steps, "preserve.kind": "none", "save_every": "100000 steps"}
    keys = {key: str(value).lower() for key, value in (*fixed.items(), *rates.items(), *contender.keys.items())}
    run = project.runs / name
    adapter = finish(train(project, read_recipe(project, keys), run=run, resume=run.exists())).adapter
    asked = {
        "identity": list(identity),
        "pictures": effort.pictures,
        "flexibility_pictures": effort.others,
        "leakage_pictures": effort.others,
        "strengths": [1.0],
        "steps": 8,
        **AS_IT_STANDS,
    }
    figures = finish(run_exam(project, [adapter], asked, base)).as_json()["figures"]
    hit = figures["hit_rate"]
    mark = Mark(
        hits=round(hit["value"] * hit["n"]),
        pictures=hit["n"],
        flexibility=figures["flexibility"]["value"],
        leakage=figures["leakage"]["value"],
        numbers=count_numbers(adapter),
    )
    print(f"  {project.lora.name} {contender.name:8} at {rate:g}: {mark}", flush=True)
    write_file(file, json.dumps(asdict(mark)).encode())
    return mark


def count_numbers(adapter: Path) -> int:
    """How many weights an adapter file has."""
    with safe_open(adapter, "pt") as file:
        return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118


def choose_rates(root: Path, effort: Effort, base: Base) -> dict[str, float]:
    """For every contender the rate that does best on the shipped character: hits, flexibility and no leakage alike."""
    project = project_of(root / "rates", "zbk", copy_example("character", root / "example") / "images")
    chosen: dict[str, float] = {}
    for contender in CONTENDERS:
        marks = {rate: mark_of(project, IDENTITY, contender, rate, effort, base) for rate in contender.rates}
        chosen[contender.name] = max(marks, key=lambda rate: marks[rate].score)
    return chosen


def row_of(contender: Contender, rate: float, marks: Sequence[Mark]) -> str:
    """A row of the table."""
    hits, pictures = sum(mark.hits for mark in marks), sum(mark.pictures for mark in marks)
    figure = wilson(hits, pictures)
    each = [mark.hits / mark.pictures for mark in marks]
    flexibility = sum(mark.flexibility for mark in marks) / len(marks)
    leakage = sum(mark.leakage for mark in marks) / len(marks)
    return (
        f"| {contender.name} | {rate:g} | {max(mark.numbers for mark in marks) / 1000:.0f} | "
        f"{100 * figure.value:.1f} % ({100 * figure.low:.1f} to {100 * figure.high:.1f}) | "
        f"{100 * min(each):.0f} to {100 * max(each):.0f} % | {100 * flexibility:.0f} % | {100 * leakage:.0f} % |"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.subjects", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few steps and pictures, of the shipped example where the persons are not drawn: only whether it runs",
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the projects there, and go on from them")
    parser.add_argument("--person", action="append", metavar="NAME", help="only this one; repeatable")
    chosen = parser.parse_args(argv)
    effort = Effort(steps=3, pictures=8, others=4) if chosen.quick else Effort()
    folders = sorted(PICTURES.glob("*/identity.json"))[: 1 if chosen.quick else None]
    if not folders and not chosen.quick:
        parser.error(f"{PICTURES}: no pictures there. Make them: node doodle/render/subjects.mjs")
    print(machine(), flush=True)
    base = open_base("doodle", use="exam")
    with tempfile.TemporaryDirectory() as temporary:
        root = chosen.keep or Path(temporary)
        contenders = CONTENDERS[:1] if chosen.quick else CONTENDERS
        rates = {CONTENDERS[0].name: CONTENDERS[0].rates[0]} if chosen.quick else choose_rates(root, effort, base)
        marks: dict[str, list[Mark]] = {contender.name: [] for contender in contenders}
        people = [(file.parent.name, file.parent / "images", json.loads(file.read_text("utf-8"))) for file in folders]
        if not people:  # only to see whether it runs
            people = [("example", copy_example("character", Path(temporary) / "example") / "images", IDENTITY)]
        for name, images, identity in people:
            if chosen.person and name not in chosen.person:
                continue
            project = project_of(root / "subjects", name, images)
            for contender in contenders:
                rate = rates[contender.name]
                marks[contender.name].append(mark_of(project, identity, contender, rate, effort, base))
    print("| algorithm | rate | thousand numbers | hit rate | of each person | flexibility | leakage |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for contender in contenders:
        if marks[contender.name]:
            print(row_of(contender, rates[contender.name], marks[contender.name]))
    hits = {name: sum(mark.hits for mark in found) for name, found in marks.items()}
    print(ratio_line("hits, LoRA / best of all", hits["LoRA"] / max(1, *hits.values()), at_least=0.9))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
