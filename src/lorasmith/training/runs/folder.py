"""The run folder: runs/<time>-<name>/ with recipe.toml, plan.json, events.jsonl, snapshots/, samples/, state/."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.errors import ProjectError
from lorasmith.project import Project, safe_name, write_file
from lorasmith.recipe.plan import Plan
from lorasmith.recipe.recipe import Recipe, parse_recipe, write_recipe


@dataclass(frozen=True)
class Run:
    """A run's folder and the adapter's file name in it."""

    path: Path
    name: str

    @property
    def recipe_file(self) -> Path:
        return self.path / "recipe.toml"

    @property
    def plan_file(self) -> Path:
        return self.path / "plan.json"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def state_file(self) -> Path:
        return self.path / "state" / "state.safetensors"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def adapter_file(self) -> Path:
        """The final adapter."""
        return self.path / f"{self.name}.safetensors"

    def snapshots(self) -> list[Path]:
        """The snapshots that lie there, the oldest first."""
        files = (self.path / "snapshots").glob("*.safetensors")
        return sorted(files, key=lambda file: (file.stat().st_mtime_ns, file.name))

    def snapshot_file(self, label: str) -> Path:
        """A snapshot by its label, as kohya names them: name-000002 (epoch) or name-step00000100."""
        return self.path / "snapshots" / f"{self.name}-{label}.safetensors"

    def recipe(self) -> Recipe:
        """The resolved recipe that the run was started with. Raises RecipeError."""
        return parse_recipe(self.recipe_file.read_text("utf-8"), where=str(self.recipe_file))

    def done_event(self) -> dict[str, Any] | None:
        """The last event when the run is complete, else None."""
        try:
            lines = self.events_file.read_text("utf-8").splitlines()
            last = json.loads(lines[-1]) if lines else {}
        except (OSError, ValueError):
            return None
        return last if isinstance(last, dict) and last.get("event") == "done" else None


def create_run(project: Project, recipe: Recipe, plan: Plan, path: Path | None = None) -> Run:
    """A new run folder with its recipe and plan in it. Raises ProjectError if `path` is a run already."""
    name = safe_name(project.lora.name)
    return found_run(Run(path or free_folder(project.runs, name), name), recipe, plan)


def found_run(run: Run, recipe: Recipe, plan: Plan) -> Run:
    """Put recipe and plan into a run's folder. Raises ProjectError if it is a run already."""
    if run.recipe_file.exists():
        raise ProjectError("there is a run in this folder already.", where=run.path, hint="Go on with it: --resume")
    write_file(run.plan_file, json.dumps(plan.as_json(), indent=1))
    # The recipe comes last: a folder is a run once it has one.
    write_file(run.recipe_file, write_recipe(recipe))
    return run


def latest_run(project: Project) -> Run | None:
    """The run that was started last, or None."""
    folders = sorted(file.parent for file in project.runs.glob("*/recipe.toml"))
    return Run(folders[-1], safe_name(project.lora.name)) if folders else None


def free_folder(runs: Path, name: str) -> Path:
    """The path of a new folder there, named by the time and `name`; it is not made."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    path = runs / stem
    number = 2
    while path.exists():
        path = runs / f"{stem}-{number}"
        number += 1
    return path
