"""The commands that `benchmarks.kills` kills, on a small project, and what must be there afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.wholeness import digests


@dataclass
class Ground:
    """Folders of the commands: `user` and `more` are somebody's own images, `start` a project to copy."""

    root: Path
    chance: random.Random
    own: dict[Path, Any] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.root / "work" / "project"

    def path(self, name: str) -> Path:
        return self.root / name

    def begin(self) -> None:
        """A fresh copy of the project, and nothing else."""
        shutil.rmtree(self.root / "work", ignore_errors=True)
        shutil.copytree(self.root / "start", self.project)
        os.environ["LORASMITH_HOME"] = str(self.root / "work" / "home")
        self.own = {folder: digests(folder) for folder in (self.path("user"), self.path("more"))}
        self.own[self.project / "images"] = digests(self.project / "images")

    def changed(self) -> list[str]:
        """The user's files that are not what they were."""
        return [
            f"{folder.name}/{name} is not what it was"
            for folder, before in self.own.items()
            if folder.parent != self.project or folder.exists()
            for name, digest in before.items()
            if digests(folder).get(name) != digest
        ]


@dataclass(frozen=True)
class Kind:
    """A command. `again` are the commands of which one must end well afterwards; `missing` says what is not there."""

    words: Callable[[Ground], Sequence[object]]
    again: Callable[[Ground], Sequence[Sequence[object]]]
    missing: Callable[[Ground], list[str]] = lambda _: []


def came_in(project: Path, sources: Sequence[Path]) -> list[str]:
    """Pictures, captions and sources that a project should have from folders, and has not."""
    there = set(digests(project / "images").values())
    missing = [f"{name} did not come in" for each in sources for name, sha in digests(each).items() if sha not in there]
    file = project / "sources.jsonl"
    known = {json.loads(line)["sha256"] for line in file.read_text("utf-8").splitlines()} if file.exists() else set()
    pictures = [(name, sha) for each in sources for name, sha in digests(each).items() if name.endswith(".png")]
    extra = len(list((project / "images").rglob("*.png"))) - len(digests_of(project / "images", ".png"))
    return (
        missing
        + [f"the source of {name} is lost" for name, sha in pictures if sha not in known]
        + ([f"{extra} pictures came in twice"] if extra else [])
    )


def digests_of(folder: Path, suffix: str) -> set[str]:
    return {sha for name, sha in digests(folder).items() if name.endswith(suffix)}


def built(ground: Ground) -> list[str]:
    """What the built dataset lacks."""
    folder = ground.project / "build" / "dataset"
    pictures, captions = list(folder.glob("*/*.png")), list(folder.glob("*/*.txt"))
    count = len(list((ground.project / "images").rglob("*.png")))
    whole = len(pictures) == len(captions) == count and (folder / "dataset.toml").is_file()
    return [] if whole else [f"{len(pictures)} pictures and {len(captions)} captions are built of {count}"]


def trained(ground: Ground) -> list[str]:
    runs = list((ground.project / "runs").iterdir())
    adapters = list((ground.project / "runs").glob("*/*.safetensors"))
    return [] if len(adapters) == 1 == len(runs) else [f"{len(adapters)} adapters in {len(runs)} runs"]


def examined(ground: Ground) -> list[str]:
    exams = [path for path in (ground.project / "exams").iterdir() if not path.name.startswith(".")]
    return [f"{path.name} has no report" for path in exams if not list(path.glob("*.html"))]


def curated(ground: Ground) -> list[str]:
    from lorasmith.dataset.decisions import read_decisions
    from lorasmith.project import open_project

    return list(read_decisions(open_project(ground.project)).problems)


def redrawn(ground: Ground) -> list[str]:
    return [] if list((ground.root / "work" / "redo").glob("*.png")) else ["nothing was drawn again"]


def kinds() -> dict[str, Kind]:
    """Every kind of command, by name."""

    def new(ground: Ground) -> Sequence[object]:
        return "new", ground.root / "work" / "made", "--images", ground.path("user"), "--trigger", "zbk"

    def add(ground: Ground) -> Sequence[object]:
        return "add", ground.project, "--images", ground.path("more")

    def alter(ground: Ground) -> Sequence[object]:
        names = ["character-01.png", "character-02.png"]
        return "curate", "alter", ground.project, *names, "--count", 3

    def grid(ground: Ground) -> Sequence[object]:
        shown = [
            "--strengths",
            "0.5,1",
            "--steps",
            "2",
            "--out",
            ground.root / "work" / "grids",
            "--name",
            "g",
            "--yes",
        ]
        return "grid", "draw", ground.path("adapter"), "--base", "doodle", "--prompt", "zbk", *shown

    def redo(ground: Ground) -> Sequence[object]:
        return "picture", "redo", ground.path("pictures") / "picture-0001.png", "--out", ground.root / "work" / "redo"

    def exam(ground: Ground) -> Sequence[object]:
        snapshots = ["--snapshots", next(ground.path("adapter").glob("*.safetensors"))]
        return "exam", ground.project, "--pictures", "8", *snapshots

    def made(ground: Ground) -> list[str]:
        return came_in(ground.root / "work" / "made", [ground.path("user")])

    def added(ground: Ground) -> list[str]:
        return came_in(ground.project, [ground.path("user"), ground.path("more")])

    queue: Sequence[object] = ("queue", "run", "--device", "cpu")
    return {
        # What had arrived already needs no second command: then inspecting it must do.
        "new": Kind(new, lambda g: [new(g), ["inspect", g.root / "work" / "made"]], made),
        "add": Kind(add, lambda g: [add(g), ["inspect", g.project]], added),
        "curate auto": Kind(
            lambda g: ["curate", "auto", g.project], lambda g: [["curate", "auto", g.project]], curated
        ),
        "curate alter": Kind(alter, lambda g: [alter(g)], curated),
        "tag": Kind(lambda g: ["tag", g.project, "--write"], lambda g: [["tag", g.project, "--write"]], built),
        "train": Kind(
            lambda g: ["train", g.project],
            lambda g: [["train", g.project, "--resume"], ["train", g.project]],
            trained,
        ),
        "exam": Kind(exam, lambda g: [exam(g)], examined),
        "grid": Kind(grid, lambda g: [grid(g)]),
        "queue": Kind(lambda _: queue, lambda _: [queue], trained),
        "picture redo": Kind(redo, lambda g: [redo(g)], redrawn),
    }
