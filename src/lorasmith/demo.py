"""The whole road on a shipped example: inspect, tag, plan, train, exam, grid, report; nothing is done twice.

Each stage leaves its files in DIR/project, so the same call goes on where it was stopped. At the end DIR holds
adapter.safetensors, grid.png, report.html and figures.json.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.adapters.recommendation import Recommendation
from lorasmith.errors import DatasetError
from lorasmith.events import Note, Work
from lorasmith.examples import copy_example
from lorasmith.library.recommending import recommend
from lorasmith.project import Project, open_project
from lorasmith.remedies import Action, Do, Remedy
from lorasmith.storage.files import replacing

#: What is copied from the exam's folder to DIR.
_FROM_EXAM = {"report": "report.html", "figures": "figures.json", "grid": "grid.png"}


@dataclass(frozen=True)
class Demo:
    """What the demo made. `document` is the exam's; `trigger` calls the adapter, whose prompt name is its stem."""

    folder: Path
    project: Path
    adapter: Path
    grid: Path
    report: Path
    figures: Path
    document: dict[str, Any]
    trigger: str
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "adapter": str(self.adapter),
            "grid": str(self.grid),
            "report": str(self.report),
            "figures": self.document["figures"],
            "chosen": self.document["chosen"],
            "verdict": self.document["verdict"],
            "project": str(self.project),
            "next": list(map(str, self.next_steps())),
            "seconds": round(self.seconds, 1),
        }

    def next_steps(self) -> tuple[Remedy, ...]:
        """What is worth trying now."""
        recommended = Recommendation.of(self.document)
        at = "" if recommended is None else f":{recommended.strength:g}"
        call = f"{self.trigger}, 1person, portrait, open eyes, smile, purple background <lora:{self.adapter.stem}{at}>"
        new = {"subject": "character", "name": "my-lora", "trigger": "mylora"}
        return (
            Do(Action.GENERATE, prompt=call, n=4, adapters=self.folder, out=self.folder / "pictures"),
            Do(Action.SHOW_ADAPTER, adapter=self.adapter),
            Do(Action.TRAIN, project=self.project, set="rank=16"),
            Do(Action.NEW, project="my-lora", **new, images="YOUR_IMAGES"),
        )


def run_demo(folder: Path, example: str = "character") -> Work[Demo]:
    """Run the road in `folder`. Raises what its stages raise; then run it again to go on."""
    began = time.monotonic()
    folder = folder.resolve()
    project = open_project(copy_example(example, folder / "project"))
    yield from _prepare(project)
    adapter = yield from _train(project)
    exam, document = yield from _examine(project, adapter)
    made = _collect(exam, Path(document["chosen"]), folder)
    recommend(project, made["adapter"], document, within=folder)
    return Demo(
        folder=folder,
        project=project.root,
        document=document,
        trigger=project.lora.trigger,
        seconds=time.monotonic() - began,
        **made,
    )


def _prepare(project: Project) -> Work[None]:
    """Inspect, tag and plan, and say what came out."""
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.recipe.plan import make_plan
    from lorasmith.recipe.recipe import read_recipe
    from lorasmith.tags.building import build_dataset
    from lorasmith.tags.inspection import inspect_project
    from lorasmith.tags.pipeline import write_captions

    dataset = yield from read_dataset(project)
    inspection = yield from inspect_project(project, dataset)
    if not inspection.passed:
        look = Do(Action.INSPECT, project=project.root)
        raise DatasetError("the images have errors.", where=project.root, remedy=look)
    yield Note(f"inspect: {len(dataset.items)} images, nothing stands in the way.")
    captioning = write_captions(project, dataset)
    yield from build_dataset(project, dataset, captioning)
    first = next(iter(captioning.captions.values()))
    yield Note(f'tag: captions written, such as "{first}".')
    plan = make_plan(read_recipe(project), dataset)
    yield Note(f"plan: {plan.steps} steps, about {max(1, round(plan.seconds / 60))} min.")


def _train(project: Project) -> Work[Path]:
    """Train, or go on training, or take the finished adapter."""
    from lorasmith.recipe.recipe import read_recipe
    from lorasmith.training.loop import train
    from lorasmith.training.runs.resuming import find_runs

    recipe = read_recipe(project)
    done = yield from train(project, recipe, resume=find_runs(project, sweep=False) is not None)
    return done.adapter


def _examine(project: Project, adapter: Path) -> Work[tuple[Path, dict[str, Any]]]:
    """The exam's folder and document; the last exam's, when it is whole and newer than the adapter."""
    from lorasmith.exam.run import run_exam

    for figures in sorted(project.exams.glob("*/figures.json"), reverse=True):
        document: dict[str, Any] = json.loads(figures.read_text("utf-8"))
        needed = (Path(document["chosen"]), *(figures.parent / name for name in _FROM_EXAM.values()))
        if figures.stat().st_mtime_ns >= adapter.stat().st_mtime_ns and all(map(Path.is_file, needed)):
            yield Note(f"exam: held already, {figures.parent.name}.")
            return figures.parent, document
    verdict = yield from run_exam(project)
    return verdict.folder, verdict.as_json()


def _collect(exam: Path, chosen: Path, folder: Path) -> dict[str, Path]:
    """Copy the results to where a user looks for them."""
    wanted = {name: (exam / file, folder / file) for name, file in _FROM_EXAM.items()}
    wanted["adapter"] = (chosen, folder / "adapter.safetensors")
    for source, place in wanted.values():
        with replacing(place) as partial:
            shutil.copyfile(source, partial)
    return {name: place for name, (_, place) in wanted.items()}
