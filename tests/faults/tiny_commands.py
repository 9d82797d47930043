"""Commands on tiny projects: what each writes, how it goes on, and what must be there in the end."""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.wholeness import digests
from safetensors.numpy import save_file

from lorasmith.cli.main import run
from lorasmith.events import Work
from lorasmith.exam import run as exam_run
from lorasmith.exam.examination import examine
from lorasmith.exam.settings import read_settings
from lorasmith.exam.verdict import Verdict
from lorasmith.project import Project
from tests.exam.toy import WORLD, ToyArtist, ToyJudge
from tests.exam.toy import make_project as make_toy
from tests.projects import build_project, draw_apart

RECIPE = """
resolution = 64
bucket.enabled = false
rank = 1
layers = ["attention"]
epochs = 2
save_every = "1 epochs"
lr.text_encoder = 0
"""


@dataclass(frozen=True)
class Command:
    """`words` of the command in a folder; `again` those that go on with it: one of them has to end well; `before` what
    is run first. `result` is what must be the same with and without a fault in between."""

    words: Callable[[Path], Sequence[str]]
    result: Callable[[Path], object]
    again: Callable[[Path], Sequence[Sequence[str]]] | None = None
    before: Callable[[Path], Sequence[str]] | None = None

    def goes_on(self, root: Path) -> Sequence[Sequence[str]]:
        return (self.words(root),) if self.again is None else self.again(root)


def make_ground(root: Path, base: Path) -> Path:
    """A project `p`, more pictures in `more`, an adapter and a drawn picture of the tiny base."""
    build_project(root / "p", RECIPE, base=str(base), sizes=((64, 64), (64, 64)))
    draw_apart(root / "p" / "images")
    build_project(root / "other", RECIPE, sizes=((64, 64), (64, 64), (64, 64), (64, 64)))
    draw_apart(root / "other" / "images")
    shutil.move(root / "other" / "images", root / "more")
    for name in ("0.png", "0.txt", "1.png", "1.txt"):  # those are in the project already
        (root / "more" / name).unlink()
    shutil.rmtree(root / "other")
    make_toy(root / "toy")
    (root / "toy" / "runs" / "r").mkdir(parents=True)
    save_file({"toy": np.zeros(1)}, root / "toy" / "runs" / "r" / "toy.safetensors")
    return root


def examine_toys(patch: pytest.MonkeyPatch) -> None:
    """Let exams be drawn and judged by toys: what they write is as ever."""

    def run_exam(
        project: Project, snapshots: Sequence[Path] | None = None, overrides: Mapping[str, Any] | None = None
    ) -> Work[Verdict]:
        files = list(snapshots or [project.root / "runs" / "r" / "toy.safetensors"])
        artist = ToyArtist({path.stem: 0.9 for path in files})
        return examine(project, files, artist, read_settings(project, overrides), ToyJudge(), WORLD)

    patch.setattr(exam_run, "run_exam", run_exam)


def examined(root: Path) -> object:
    """Every exam's files, by their kinds: the last exam is whole, and so are all others."""
    exams = [folder for folder in (root / "toy" / "exams").iterdir() if not folder.name.startswith(".")]
    return {tuple(sorted(file.name for file in folder.rglob("*"))) for folder in exams}


def projects(root: Path, *words: str) -> Sequence[str]:
    return (*words[:-1], str(root / words[-1]))


def images(root: Path) -> object:
    """The project's pictures and captions, and which sources are known."""
    folder = root / "p"
    sources = folder / "sources.jsonl"
    known = sorted(json.loads(line)["sha256"] for line in sources.read_text().splitlines()) if sources.exists() else []
    return sorted(digests(folder / "images").values()), known


def made(root: Path) -> object:
    folder = root / "made"
    known = [json.loads(line)["name"] for line in (folder / "sources.jsonl").read_text().splitlines()]
    return dict(digests(folder / "images")), sorted(known), (folder / "lora.toml").is_file()


def altered(root: Path) -> object:
    return {name: sha for name, sha in digests(root / "p" / "made").items() if name.endswith(".png")}


def decided(root: Path) -> object:
    from lorasmith.dataset.decisions import read_decisions
    from lorasmith.project import open_project

    decisions = read_decisions(open_project(root / "p"))
    return len(decisions.by_image), decisions.problems


def built(root: Path) -> object:
    return {name: sha for name, sha in digests(root / "p" / "build" / "dataset").items() if name != "dataset.toml"}


def trained(root: Path) -> object:
    """The adapters of the one run; their headers hold times."""
    return sorted(file.name for file in (root / "p" / "runs").glob("*/*.safetensors"))


def grid(root: Path) -> object:
    folder = root / "grids" / "g"
    record = json.loads((folder / "grid.json").read_text())
    return len(record["cells"]), [cell.get("error") for cell in record["cells"]], record["sheets"]


def ran(root: Path) -> object:
    """What became of the jobs, the first of which was there from the start."""
    from lorasmith.jobs.queue import JobQueue

    return [(job.state, job.step, job.steps) for job in JobQueue(root / "home").jobs()]


TRAINER = """#!{python} -IS
import sys
sys.stdout.write('{{"event": "step", "step": 2, "steps": 2}}\\n')
"""


def train_by_proxy(patch: pytest.MonkeyPatch, root: Path) -> None:
    """Let the worker's jobs be run by something that trains nothing: what the worker writes is as ever."""
    from lorasmith.jobs import worker

    trainer = root / "trainer"
    trainer.write_text(TRAINER.format(python=sys.executable))
    trainer.chmod(0o700)
    patch.setattr(worker, "_PYTHON", str(trainer))


def queued(root: Path) -> object:
    from lorasmith.jobs.queue import JobQueue

    return len(JobQueue(root / "home").jobs()) >= 1


def _draw(root: Path, base: Path) -> Sequence[str]:
    shown = ("--base", str(base), "--prompt", "zbk", "--strengths", "1", "--steps", "1", "--size", "64x64", "--yes")
    return ("grid", "draw", str(root / "adapter"), *shown, "--out", str(root / "grids"), "--name", "g")


def commands(base: Path) -> dict[str, Command]:
    def add(root: Path) -> Sequence[str]:
        return ("add", str(root / "p"), "--images", str(root / "more"))

    def new(root: Path) -> Sequence[str]:
        return ("new", str(root / "made"), "--images", str(root / "more"), "--trigger", "zbk")

    return {
        "new": Command(new, made, lambda root: (new(root), projects(root, "tag", "made"))),
        "add": Command(add, images, lambda root: (add(root), projects(root, "tag", "p"))),
        "curate reject": Command(lambda root: ("curate", "reject", str(root / "p"), "0.png", "1.png"), decided),
        "curate alter": Command(lambda root: ("curate", "alter", str(root / "p"), "0.png"), altered),
        "tag": Command(lambda root: ("tag", str(root / "p"), "--write"), built),
        "train": Command(
            lambda root: ("train", str(root / "p")),
            trained,
            lambda root: (("train", str(root / "p"), "--resume"), ("train", str(root / "p"))),
        ),
        "queue add": Command(lambda root: ("queue", "add", str(root / "p")), queued),
        "queue run": Command(
            lambda _: ("queue", "run", "--device", "cpu"), ran, before=lambda root: ("queue", "add", str(root / "p"))
        ),
        "exam": Command(lambda root: ("exam", str(root / "toy"), "--pictures", "8"), examined),
        "grid": Command(lambda root: _draw(root, base), grid),
    }


def call(words: Sequence[str]) -> int:
    return run(list(words))


def place(command: Command, ground: Path, root: Path, patch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of the ground for a command; exams are of toys there, and jobs train nothing. What takes time and
    writes nothing is left out: no power fails here, and memory need not be tidied."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(ground, root)
    patch.setenv("LORASMITH_HOME", str(root / "home"))
    patch.setattr(os, "fsync", lambda _: None)
    patch.setattr(gc, "collect", lambda *_: 0)
    examine_toys(patch)
    train_by_proxy(patch, root)
    assert command.before is None or call(command.before(root)) == 0
    return root
