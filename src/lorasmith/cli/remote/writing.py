"""From a project to the files of a task on a rented GPU. Nothing is launched here."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from lorasmith import __version__
from lorasmith.cli.remote.dstack import Dstack
from lorasmith.cli.remote.sky import Sky
from lorasmith.cli.remote.task import PLACE, RemoteTask, Tool, Written, task_name
from lorasmith.errors import StorageError, UsageError
from lorasmith.events import Note, Work
from lorasmith.jobs.packing import is_inside, pack_project
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.project import EMBEDDED, Project, safe_name
from lorasmith.recipe.cards import Card, read_cards
from lorasmith.recipe.recipe import Recipe
from lorasmith.storage.files import write_file

TOOLS: Mapping[str, Tool] = MappingProxyType({tool.name: tool for tool in (Sky(), Dstack())})
MARK = "# Written by lorasmith train --remote"
"""How the files begin that may be written over."""


@dataclass(frozen=True)
class Asked:
    """What is asked for elsewhere: `tool` and `gpu` by name, the file to `write` (None: in the project's build
    folder), `store`: the bucket or volume of the run (empty: the tool's default), `wheel` of this program."""

    tool: str
    gpu: str
    write: Path | None = None
    store: str = ""
    wheel: Path | None = None
    spot: bool = True
    sweep: bool | None = None


@dataclass(frozen=True)
class Prepared:
    """The written files, the first of them the task's; what to type to launch it and to fetch the run's folder."""

    tool: str
    files: tuple[Path, ...]
    package: Path
    run: str
    launch: tuple[str, ...]
    fetch: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The stable document."""
        return {
            "tool": self.tool,
            "files": [str(file) for file in self.files],
            "package": str(self.package),
            "run": self.run,
            "launch": shlex.join(self.launch),
            "fetch": list(self.fetch),
        }


def prepare_remote(project: Project, settings: Mapping[str, str], asked: Asked) -> Work[Prepared]:
    """Check the run as `plan` does, pack the project and write the task's files.

    Raises UsageError for an unknown tool or GPU, what the plan raises, ProjectError where the recipe reads files
    outside of the project, StorageError where a file of another's lies at the place.
    """
    from lorasmith.face.stages import plan_training
    from lorasmith.recipe.memory import how_it_fits

    tool = _find_tool(asked.tool)
    card, cards = read_cards(asked.gpu)
    wheel = None if asked.wheel is None else _check_wheel(asked.wheel)
    name = task_name(project.lora.name)
    store = tool.check_store(asked.store, _own_name(project, name))
    planned = yield from plan_training(project, settings)
    recipe = planned.recipe
    fit = how_it_fits(recipe, planned.plan.pixels, card.memory)
    if fit is not None and not fit.fits:
        yield Note(_lack(card, fit.switches), "warning")
    path = _place(project, tool, asked.write)
    package = path.with_name(f"{path.name.removesuffix(path.suffix)}.tar")
    packed = yield from pack_project(project, recipe, package, [path])
    settings, mounts = _outside(project, recipe, settings)
    told = f"{packed.sha256} {__version__} {sorted(settings.items())} {asked.sweep}"
    task = RemoteTask(
        name=name,
        run=f"{safe_name(project.lora.name)}-{hashlib.sha256(told.encode()).hexdigest()[:8]}",
        card=card,
        cards=cards,
        package=packed.file,
        wheel=wheel,
        version=__version__,
        extras=_extras(recipe),
        settings=settings,
        mounts=mounts,
        sweep=asked.sweep,
        spot=asked.spot,
    )
    launch = tool.launching(path)
    fetch = tool.fetching(task, path, store, project.runs)
    files = tool.files(task, path, store)
    for each in files:
        write_file(each.path, _text(each, launch, fetch))
    for caution in tool.cautions(task, store):
        yield Note(caution, "warning")
    if wheel is None and not _is_from_registry():
        yield Note(
            f"this is Lorasmith {__version__} from a folder; the machine installs what the registry has by that number."
            " To send what runs here, make a wheel (pip wheel --no-deps FOLDER) and give it with --wheel.",
            "warning",
        )
    return Prepared(tool.name, tuple(each.path for each in files), package, task.run, tuple(launch), tuple(fetch))


def launch(prepared: Prepared) -> int:
    """Call the tool, which asks before it rents anything; its exit code. Raises UsageError where it is not there."""
    tool = TOOLS[prepared.tool]
    if shutil.which(tool.program) is None:
        raise UsageError(
            f"{tool.program}: no such program here. The task is written: {prepared.files[0]}",
            field="launch",
            hint=f'Install it with: pip install "{tool.package}" (in an environment of its own), and set it up; then: '
            f"{shlex.join(prepared.launch)}",
        )
    return subprocess.run(prepared.launch, check=False).returncode


def _find_tool(name: str) -> Tool:
    if name not in TOOLS:
        raise UsageError(f"{name}: no such tool.", field="remote", hint=f"Known: {', '.join(TOOLS)}.")
    return TOOLS[name]


def _check_wheel(wheel: Path) -> Path:
    if wheel.suffix != ".whl" or not wheel.name.startswith("lorasmith-"):
        raise UsageError(f"{wheel.name}: not a wheel of lorasmith.", field="wheel", hint=_WHEEL)
    if not wheel.is_file():
        raise UsageError(f"{wheel}: no such file.", field="wheel", hint=_WHEEL)
    return wheel.resolve()


_WHEEL = "Make one in the source's folder with: pip wheel --no-deps ."


def _lack(card: Card, switches: Mapping[str, Any] | None) -> str:
    from lorasmith.recipe.overrides import write_value

    if switches is None:
        return f"by the plan it takes more memory than {card.name} has, whatever the switch: lower the resolution."
    words = " ".join(f"--set {key}={write_value(value)}" for key, value in switches.items())
    return f"by the plan it takes more memory than {card.name} has ({card.gigabytes} GB); it fits with {words}"


def _place(project: Project, tool: Tool, write: Path | None) -> Path:
    path = (write or project.root / "build" / "remote" / f"{safe_name(project.lora.name)}.{tool.name}.yaml").resolve()
    if path.suffix not in (".yaml", ".yml"):
        hint = f"For example {path.stem}.yaml."
        raise UsageError(f"{path.name}: a task's file ends in .yaml.", field="write", hint=hint)
    if path.exists() and not path.read_text("utf-8", errors="replace").startswith(MARK):
        hint = "Give another name."
        raise StorageError("exists already, and is no task that was written here.", where=path, hint=hint)
    return path


def _outside(project: Project, recipe: Recipe, settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, Path]]:
    """The settings with the places that base and adapters have there, and what is sent for it."""
    given, mounts = dict(settings), dict[str, Path]()
    read = {"base": recipe.base, "init": recipe.init, "training_adapter": recipe.training_adapter}
    for key, value in read.items():
        path = project.root / Path(value).expanduser()
        if not value or value == EMBEDDED or not path.exists():
            continue
        if is_inside(project, path):
            there = f"{PLACE}/project/{path.resolve().relative_to(project.root).as_posix()}"
        else:
            there = f"{PLACE}/{key}/{_plain_name(path)}"
            mounts[there] = path.resolve()
        given[key] = f'"{there}"'
    return given, mounts


def _plain_name(path: Path) -> str:
    """The name without spaces or the like: not every tool quotes the places that it is given."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", path.name).lstrip(".-") or "file"


def _extras(recipe: Recipe) -> tuple[str, ...]:
    """What the recipe needs, and what reads images here."""
    optimizer = OPTIMIZERS[recipe.optimizer.name]
    wanted = {optimizer.extra if optimizer.package else None, "tensorboard" if recipe.tensorboard else None}
    wanted |= {extra for extra, module in (("formats", "pillow_heif"), ("vision", "cv2")) if find_spec(module)}
    return tuple(sorted(filter(None, wanted)))


def _is_from_registry() -> bool:
    """Whether this program was installed by its number alone."""
    try:
        return distribution("lorasmith").read_text("direct_url.json") is None
    except PackageNotFoundError:
        return False


def _own_name(project: Project, name: str) -> str:
    """A name that no bucket of another project or user has."""
    return f"{name}-{hashlib.sha256(f'{project.root} {Path.home()}'.encode()).hexdigest()[:8]}"


def _text(written: Written, launch: list[str], fetch: list[str]) -> str:
    about = [f"{MARK}. {' '.join(written.about)}", "#", f"# launch:  {shlex.join(launch)}"]
    about += [f"# fetch:   {line}" for line in fetch]
    body = yaml.dump(dict(written.document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return "\n".join(about) + f"\n{body}"


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Several lines of text as a block."""


def _represent(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent)
