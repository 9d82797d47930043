"""Runs that are trained together: one in a folder of its own, or a sweep's, a folder for each variant in the sweep's.

A run by itself is a set of one, whose folder is the set's: its name there is "".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lorasmith.errors import RecipeError, StorageError, TrainingError
from lorasmith.events import Done, SweepDone
from lorasmith.project import Project, safe_name
from lorasmith.recipe.plan import Plan
from lorasmith.recipe.sweep import Variant
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.files import remove_all_left_partials, write_file
from lorasmith.storage.locks import HeldError, hold
from lorasmith.training.runs.folder import RECIPE_FILE, Run, create_run, free_folder

SWEEP_FILE = "sweep.json"
_LOOKED_AT = 0.2
"""Seconds for which somebody may look whether a run is held."""


@dataclass(frozen=True)
class RunSet:
    """Runs by their variants' names, and what is theirs together: state/, and of a sweep sweep.json and done.json."""

    path: Path
    runs: Mapping[str, Run]

    @property
    def is_sweep(self) -> bool:
        return "" not in self.runs

    @property
    def word(self) -> str:
        """What a message calls it."""
        return "sweep" if self.is_sweep else "run"

    @property
    def state_file(self) -> Path:
        return self.path / "state" / "state.safetensors"

    @property
    def exists(self) -> bool:
        """Can it be gone on with?"""
        return (self.path / (SWEEP_FILE if self.is_sweep else RECIPE_FILE)).is_file()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, no other process writes here. Raises TrainingError, which names the process that does, StorageError.

        The lock ends with its holder, however that ends.
        """
        file = self.path / "state" / "lock"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            lock = hold(file, wait=_LOOKED_AT)
        except HeldError as held:
            raise TrainingError(
                f"process {held.process or 'unknown'} trains this {self.word} already.",
                where=self.path,
                hint="Wait until it has ended, or stop that process.",
            ) from None
        except OSError as fault:
            raise StorageError(f"cannot write: {fault.strerror}.", where=file) from fault
        with lock:
            for folder in self._folders():
                remove_all_left_partials(folder)
            yield

    def _folders(self) -> Iterator[Path]:
        """All in which files are written."""
        yield from (self.path, self.state_file.parent)
        for run in self.runs.values():
            yield from (run.path, run.path / "snapshots", run.samples)

    def create(self, variants: Sequence[Variant], plans: Sequence[Plan]) -> None:
        """Put the recipes and plans into the folders. Raises ProjectError where one is a run already."""
        for variant, plan in zip(variants, plans, strict=True):
            create_run(self.runs[variant.name], variant.recipe, plan)
        # A sweep's file comes last: its variants' folders are there then.
        if self.is_sweep:
            write_file(self.path / SWEEP_FILE, json.dumps({"variants": list(self.runs)}, indent=1))

    def check(self, variants: Sequence[Variant]) -> None:
        """Raises RecipeError when these are not the recipes that it was started with."""
        names = [variant.name for variant in variants]
        if list(self.runs) != names:
            raise RecipeError(
                f"this sweep was started with other variants: {', '.join(self.runs)}.",
                where=self.path,
                remedy=Sentence("Give the old [sweep] to go on, or start a new one without ", Give("resume"), "."),
            )
        for variant in variants:
            self.runs[variant.name].check_recipe(variant.recipe)

    def done(self) -> Done | SweepDone | None:
        """The last event when all is complete, else None."""
        if not self.is_sweep:
            return self.runs[""].done()
        try:
            facts = json.loads((self.path / "done.json").read_text("utf-8"))
            return SweepDone(Path(facts["run"]), facts["seconds"], facts["variants"], facts["failed"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_done(self, done: SweepDone) -> None:
        """Keep a sweep's last event; a run's stands in its log. Raises StorageError."""
        write_file(self.path / "done.json", json.dumps(done.as_json(), indent=1))


def place_runs(project: Project, names: Sequence[str], path: Path | None = None) -> RunSet:
    """Where runs of these variants ([""]: a run by itself) lie; by default in a new folder. Nothing is written."""
    name = safe_name(project.lora.name)
    if list(names) == [""]:
        folder = path or free_folder(project.runs, name)
        return RunSet(folder, {"": Run(folder, name)})
    folder = path or free_folder(project.runs, f"{name}-sweep")
    return RunSet(folder, {each: Run(folder / each, f"{name}-{each}") for each in names})
