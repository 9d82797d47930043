"""The run folder: runs/<time>-<name>/ with recipe.toml, plan.json, events.jsonl, snapshots/, samples/, state/."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from lorasmith.errors import ProjectError, RecipeError
from lorasmith.events import Done
from lorasmith.recipe.plan import Plan
from lorasmith.recipe.recipe import Recipe, differing_keys, parse_recipe, write_recipe
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.files import write_file

RECIPE_FILE = "recipe.toml"


@dataclass(frozen=True)
class Run:
    """A run's folder and the adapter's file name in it."""

    path: Path
    name: str

    @property
    def recipe_file(self) -> Path:
        return self.path / RECIPE_FILE

    @property
    def plan_file(self) -> Path:
        return self.path / "plan.json"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

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

    def check_recipe(self, recipe: Recipe) -> None:
        """Raises RecipeError when this is not the recipe that the run was started with."""
        if differing := differing_keys(self.recipe(), recipe):
            raise RecipeError(
                f"this run was started with another recipe: {'; '.join(differing)}.",
                where=self.path,
                remedy=Sentence("Give the old values to go on, or start a new run without ", Give("resume"), "."),
            )

    def done(self) -> Done | None:
        """The last event when the run is complete, else None. Its paths are of here, wherever it was trained."""
        try:
            lines = self.events_file.read_text("utf-8").splitlines()
            last = json.loads(lines[-1]) if lines else {}
            if last["event"] != "done":
                return None
            adapter = self.path / Path(last["adapter"]).name
            return Done(adapter, self.path, last["steps"], last["seconds"], last["loss"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def create_run(run: Run, recipe: Recipe, plan: Plan) -> None:
    """Put recipe and plan into a run's folder. Raises ProjectError if it is a run already."""
    if run.recipe_file.exists():
        message = "there is a run in this folder already."
        raise ProjectError(message, where=run.path, hint="Go on with it:", remedy=Give("resume"))
    write_file(run.plan_file, json.dumps(plan.as_json(), indent=1))
    # The recipe comes last: a folder is a run once it has one.
    write_file(run.recipe_file, write_recipe(recipe))


def free_folder(runs: Path, name: str) -> Path:
    """The path of a new folder there, named by the time and `name`; it is not made."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    path = runs / stem
    number = 2
    while path.exists():
        path = runs / f"{stem}-{number}"
        number += 1
    return path
