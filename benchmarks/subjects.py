"""Seven algorithms on seven persons that the embedded base has never seen: what each learns in the same steps.

First every algorithm is tried with two learning rates on the shipped example, which is none of the seven; the better
one is kept. Then all seven algorithms train together on each person, in one sweep, and each is examined. No row is
preserved: the table is about the algorithms. It ends as a table for docs/algorithms.md.

Run: python -m benchmarks.subjects [--quick] [--keep DIR]. It needs the persons' pictures, which
``node doodle/render/subjects.mjs`` draws, and takes about three quarters of an hour on two cores; with ``--keep`` it
goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from benchmarks.timing import machine
from lorasmith.bases.base import Base, open_base
from lorasmith.events import finish
from lorasmith.exam.figures import wilson
from lorasmith.exam.hall import hold_exam
from lorasmith.examples import copy_example
from lorasmith.project import Project, open_project, write_file
from lorasmith.training.loop import train_sweep
from lorasmith.training.sweep import read_sweep

PICTURES = Path(os.environ.get("DOODLE_WORK", Path(__file__).parents[1] / "doodle/work")) / "subjects"
TRIAL_IDENTITY = ("personas style", "side-swept hair", "turquoise hair", "tan skin")


@dataclass(frozen=True)
class Contender:
    """An algorithm with its recipe keys, and the learning rates of the denoiser that are tried."""

    name: str
    keys: Mapping[str, Any]
    rates: tuple[float, ...]


CONTENDERS = (
    Contender("LoRA", {"algorithm": "lora", "rank": 8, "alpha": 8}, (3e-3, 6e-3)),
    Contender("LoCon", {"algorithm": "lora", "rank": 8, "alpha": 8, "conv.rank": 8}, (2e-3, 4e-3)),
    Contender("LoKr", {"algorithm": "lokr", "rank": 8, "alpha": 8}, (4e-3, 1e-2)),
    Contender("LoHa", {"algorithm": "loha", "rank": 4, "alpha": 4}, (4e-3, 1e-2)),
    Contender("DoRA", {"algorithm": "lora", "rank": 8, "alpha": 8, "dora": True}, (3e-3, 6e-3)),
    Contender("DyLoRA", {"algorithm": "dylora", "rank": 8, "alpha": 8}, (3e-3, 6e-3)),
    Contender("(IA)^3", {"algorithm": "ia3"}, (1e-2, 4e-2)),
)
DEFAULTS = {"algorithm": "lora", "rank": 8, "alpha": 8, "conv.rank": 0, "dora": False}


@dataclass(frozen=True)
class Mark:
    """What an exam said of one adapter: shares, how many pictures they are of, and the file's numbers."""

    hits: int
    pictures: int
    flexibility: float
    leakage: float
    numbers: int


@dataclass(frozen=True)
class Effort:
    """How much is done: steps of training, pictures for the hit rate, pictures for each of the other figures."""

    steps: int = 160
    pictures: int = 48
    others: int = 16


def project_of(root: Path, trigger: str, images: Path, effort: Effort, variants: Sequence[dict[str, Any]]) -> Project:
    """A project with a sweep of `variants`, recipe keys each."""
    project = root / trigger
    shutil.copytree(images, project / "images", dirs_exist_ok=True)
    columns = {key: [variant.get(key, default) for variant in variants] for key, default in DEFAULTS.items()}
    for key in ("lr.unet", "lr.text_encoder"):
        columns[key] = [variant[key] for variant in variants]
    sweep = "\n".join(f"{key} = {json.dumps(values)}" for key, values in columns.items())
    text = (
        f'[lora]\nname = "{trigger}"\nsubject = "character"\ntrigger = "{trigger}"\nbase = "doodle"\n'
        f'[recipe]\ntarget_steps = {effort.steps}\npreserve.kind = "none"\nsave_every = "100000 steps"\n'
        f'[sweep]\nmode = "zip"\n{sweep}\n'
    )
    (project / "lora.toml").write_text(text, "utf-8")
    return open_project(project)


def marks_of(project: Project, identity: Sequence[str], effort: Effort, base: Base) -> list[Mark]:
    """Train the project's sweep, or go on with it, and examine each of its adapters, in their order."""
    file = project.root / "marks.json"
    kept = [Mark(**mark) for mark in json.loads(file.read_text("utf-8"))] if file.exists() else []
    variants = read_sweep(project)
    done = finish(train_sweep(project, variants, resume=True))
    asked = {
        "identity": list(identity),
        "pictures": effort.pictures,
        "flexibility_pictures": effort.others,
        "leakage_pictures": effort.others,
        "strengths": [1.0],
        "steps": 8,
    }
    for variant in variants[len(kept) :]:
        if variant.name not in done.variants:
            kept.append(Mark(0, effort.pictures, 0.0, 1.0, 0))
            print(f"    {project.lora.name} {variant.name}: {done.failed[variant.name]}", flush=True)
        else:
            adapter = Path(done.variants[variant.name]["adapter"])
            figures = finish(hold_exam(project, [adapter], asked, base)).as_json()["figures"]
            hit = figures["hit_rate"]
            kept.append(
                Mark(
                    hits=round(hit["value"] * hit["n"]),
                    pictures=hit["n"],
                    flexibility=figures["flexibility"]["value"],
                    leakage=figures["leakage"]["value"],
                    numbers=count_numbers(adapter),
                )
            )
        print(f"    {project.lora.name} {variant.name}: {kept[-1]}", flush=True)
        write_file(file, json.dumps([asdict(mark) for mark in kept]).encode())
    return kept


def count_numbers(adapter: Path) -> int:
    """How many weights an adapter file has."""
    with safe_open(adapter, "pt") as file:  # type: ignore[no-untyped-call]
        total = 0
        for key in file.keys():  # noqa: SIM118
            size = 1
            for side in file.get_slice(key).get_shape():
                size *= side
            total += size
    return total


def variant_of(contender: Contender, rate: float) -> dict[str, Any]:
    """A contender's recipe keys at a rate; the text encoder learns by four thirds of it, as in the preset."""
    return {**contender.keys, "lr.unet": rate, "lr.text_encoder": round(rate * 4 / 3, 6)}


def choose_rates(root: Path, effort: Effort, base: Base) -> dict[str, float]:
    """For every contender the rate that does best on the shipped character: hits, flexibility and no leakage alike."""
    tried = [(contender, rate) for contender in CONTENDERS for rate in contender.rates]
    images = copy_example("character", root / "example") / "images"
    variants = [variant_of(contender, rate) for contender, rate in tried]
    project = project_of(root / "rates", "zbk", images, effort, variants)
    best: dict[str, tuple[float, float]] = {}
    for (contender, rate), mark in zip(tried, marks_of(project, TRIAL_IDENTITY, effort, base), strict=True):
        score = mark.hits / mark.pictures + mark.flexibility - mark.leakage
        print(f"  {contender.name:8} at {rate:g}: {score:.3f}", flush=True)
        best[contender.name] = max(best.get(contender.name, (-9.0, 0.0)), (score, rate))
    return {name: rate for name, (_, rate) in best.items()}


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
    parser.add_argument("--quick", action="store_true", help="few steps and pictures: only whether it runs")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the projects there, and go on from them")
    chosen = parser.parse_args(argv)
    effort = Effort(steps=3, pictures=8, others=4) if chosen.quick else Effort()
    folders = sorted(PICTURES.glob("*/identity.json"))[: 1 if chosen.quick else None]
    if not folders:
        parser.error(f"{PICTURES}: no pictures there. Make them: node doodle/render/subjects.mjs")
    print(machine(), flush=True)
    base = open_base("doodle", use="exam")
    with tempfile.TemporaryDirectory() as temporary:
        root = chosen.keep or Path(temporary)
        rates = choose_rates(root, effort, base)
        marks: dict[str, list[Mark]] = {contender.name: [] for contender in CONTENDERS}
        for file in folders:
            variants = [variant_of(contender, rates[contender.name]) for contender in CONTENDERS]
            project = project_of(root / "subjects", file.parent.name, file.parent / "images", effort, variants)
            found = marks_of(project, json.loads(file.read_text("utf-8")), effort, base)
            for contender, mark in zip(CONTENDERS, found, strict=True):
                marks[contender.name].append(mark)
    print("| algorithm | rate | thousand numbers | hit rate | of each person | flexibility | leakage |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for contender in CONTENDERS:
        print(row_of(contender, rates[contender.name], marks[contender.name]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
