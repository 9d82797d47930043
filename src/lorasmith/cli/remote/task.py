"""What a machine elsewhere is given and told to do, whichever tool rents it.

All paths there are the same on every machine: a run that goes on elsewhere must find its base under the name that it
was started with, and homes have other names in other clouds.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lorasmith.recipe.cards import Card

PLACE = "/tmp/lorasmith"
"""What comes and goes with the machine."""
RUNS = "/lorasmith-runs"
"""What outlives it: a bucket or a volume."""
PYTHON = "3.12"


@dataclass(frozen=True)
class RemoteTask:
    """`name` of the task; `run`: the name of the run's folder, the same for the same files and settings; `package`: the
    project as one file; `wheel`: of this program (None: `version` from the registry), with `extras`; `mounts`: further
    files or folders by their place there; `settings`: recipe values; `cards` many of `card`."""

    name: str
    run: str
    card: Card
    cards: int
    package: Path
    wheel: Path | None
    version: str
    extras: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)
    sweep: bool | None = None
    spot: bool = True

    @property
    def folder(self) -> str:
        """The run's folder there."""
        return f"{RUNS}/{self.run}"

    @property
    def files(self) -> dict[str, Path]:
        """Everything that is sent, by its place there."""
        wheels = {} if self.wheel is None else {f"{PLACE}/{self.wheel.name}": self.wheel}
        return {f"{PLACE}/project.tar": self.package, **wheels, **self.mounts}

    @property
    def requirement(self) -> str:
        """What pip is told to install."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"lorasmith{extras}=={self.version}" if self.wheel is None else f"{PLACE}/{self.wheel.name}{extras}"

    def unpacking(self) -> list[str]:
        """Shell lines that put the project there; done again they change nothing."""
        return [f"mkdir -p {PLACE}/project", f"tar -xf {PLACE}/project.tar -C {PLACE}/project"]

    def training(self, bin_folder: str = "") -> str:
        """The shell line that trains, or goes on where another machine was stopped, or finds that all is done."""
        several = f"{bin_folder}torchrun --nproc-per-node={self.cards} -m lorasmith.cli.main"
        words = [several if self.cards > 1 else f"{bin_folder}lorasmith", "train", f"{PLACE}/project"]
        words += ["--run", self.folder, "--resume"]
        if self.sweep is not None:
            words.append("--sweep" if self.sweep else "--no-sweep")
        for key, value in self.settings.items():
            words += ["--set", shlex.quote(f"{key}={value}")]
        return " ".join(words)


@dataclass(frozen=True)
class Written:
    """A file to write, and what its first lines say of it."""

    path: Path
    document: Mapping[str, Any]
    about: tuple[str, ...]


class Tool(Protocol):
    """A program that rents GPUs. `program`: what is called; `package`: what brings it."""

    name: str
    program: str
    package: str

    def check_store(self, given: str, default: str) -> str:
        """The bucket or volume that keeps the run; `default` is a name that nobody else has. Raises UsageError."""

    def files(self, task: RemoteTask, path: Path, store: str) -> list[Written]:
        """The task's file at `path`, and others that go with it."""

    def launching(self, path: Path) -> list[str]:
        """The words that launch it; the tool itself asks before it costs anything."""

    def fetching(self, task: RemoteTask, path: Path, store: str, runs: Path) -> list[str]:
        """What to type to get the run's folder into the project's `runs`."""

    def cautions(self, task: RemoteTask, store: str) -> list[str]:
        """What to see to before it is launched."""


def task_name(text: str, longest: int = 30) -> str:
    """A name that clouds take: small letters, digits and hyphens, ``lorasmith-`` before it."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"lorasmith-{plain[:longest].strip('-')}" if plain else "lorasmith-run"
