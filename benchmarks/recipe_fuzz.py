"""Recipes drawn at random, each trained for a few steps: it is refused by name or it runs and saves.

Every key of `[recipe]` is drawn sometimes, from the range that its own type tells; only what costs time (ranks, sides,
batches, pictures) is drawn from its cheap end. Bases are tiny ones of two families and the embedded one. A refusal
counts when it is a RecipeError, or a DatasetError for pictures and masks that are not there, that names a key of the
recipe and comes before the run has a folder. A loss that explodes counts when the run says so and something that was
drawn makes steps that large (`SPOILING`). Everything else is a fault and is printed with the combination that made it.

Each combination is a function of its number: to go on after an interruption, give --first the number that was told
last.

Run: python -m benchmarks.recipe_fuzz [--quick] [--count N] [--first N]
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
import types
import typing
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from benchmarks.timing import machine, ratio_line
from lorasmith.bases.base import Base, load_base
from lorasmith.errors import DatasetError, LorasmithError, RecipeError, TrainingError
from lorasmith.events import StepDone, finish
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.project import Project
from lorasmith.recipe.chosen import trainable_algorithms, widen
from lorasmith.recipe.overrides import write_value
from lorasmith.recipe.recipe import Recipe, read_recipe
from lorasmith.recipe.reference import recipe_keys
from lorasmith.schema import TableModel
from lorasmith.training.loop import train

SEED = 15
BASES = ("sd1", "sdxl", "doodle")
ALWAYS = {
    "resolution": 64,
    "bucket.min": 32,
    "bucket.max": 128,
    "bucket.step": 32,
    "batch_size": 2,
    "rank": 2,
    "target_steps": 2,
    "preserve.kind": "none",
    "clip_skip": 1,
}
"""What makes a run small; drawn keys win over it."""
CHEAP: Mapping[str, Sequence[object]] = {
    "resolution": (64, 64, 96, 32, 16, 72, [64, 96], [128, 64]),
    "bucket.min": (8, 16, 32, 64, 128),
    "bucket.max": (32, 64, 96, 128, 200),
    "bucket.step": (8, 16, 32, 64, 128),
    "batch_size": (1, 2, 3, 5),
    "accumulate": (1, 2, 3),
    "epochs": (1, 2),
    "target_steps": (1, 2, 3),
    "rank": (1, 2, 3, 8, 70),
    "training_adapter": ("", "no-such.safetensors"),
    "compile": (False,),  # half a minute each; tests/training/test_compiled.py has it
    "rank_by_timestep": (0, 1, 2, 4),
    "conv.rank": (0, 1, 2, 40),
    "blocks.lr": ("cosine", "sine", "linear", "reverse_linear", "flat", {"IN": 0.5}, {"M00": 0}, {"OUT": 0, "IN": 0},
                  {"IN99": 1}, {"TE": 1}, {"D": 0.5}),
    "blocks.rank": ({"M00": 3}, {"IN": 0}, {"OUT": 1, "IN00": 0}, {"X": 1}),
    "blocks.alpha": ({"M00": 3}, {"IN": 0.5}),
    "filter.only": (["*attn2*"], ["lora_te*"], ["nothing"], ["*"]),
    "filter.skip": (["*attn2*"], ["lora_te*"], ["lora_unet*"], ["*"]),
    "layers": (["attention"], ["mlp"], ["conv"], ["time"], ["attention", "mlp", "conv", "time"], []),
    "optimizer.betas": ([0.9, 0.99], [0.0, 0.5], [0.9, 0.999, 0.9999], [1.0, 1.0]),
    "timesteps.like": ("", "kohya", "ai-toolkit", "nobody"),
    "save_every": ("1 epoch", "1 steps", "2 steps", "1 minutes", "0 steps"),
    "validation.every": ("1 epoch", "1 steps", "1 minutes"),
    "lokr.factor": (-1, 1, 2, 4, 1000, 0),
    "dylora.block": (1, 2, 3, 100),
    "preserve.pictures": (1, 2),
    "preserve.steps": (1, 2),
    "preserve.prompts": (["a hat"], ["", "1girl"]),
    "preserve.folder": ("reg", "images", "nowhere"),
    "sample.prompts": (["zbk, smile"], [""]),
    "sample.steps": (1, 2),
    "loss.mask_folder": ("masks", "nowhere"),
    "caption.keep_separator": ("", "|||", ","),
    "init": ("", "nowhere.safetensors"),
    "precision": ("auto", "fp32", "bf16", "fp16"),
}  # fmt: skip
"""Values of keys whose type does not tell them, or whose whole range costs too much."""
SPOILING: Mapping[str, float] = {
    "lr.unet": 0.1,
    "lr.text_encoder": 0.1,
    "lr.text_encoder_2": 0.1,
    "alpha": 1000,
    "conv.alpha": 1000,
    "delta_norm": 1e4,
}
"""Keys, and the values above which a loss may explode."""
HARD = 1e6
"""Instead of no upper bound."""


def drawn_keys() -> list[str]:
    """What can be drawn: every key of a recipe but the base, which the harness chooses."""
    return [key.path for key in recipe_keys() if key.path != "base"]


def draw(chance: random.Random) -> dict[str, object]:
    """Some keys with values; the base is not among them."""
    keys = drawn_keys()
    chosen = chance.sample(keys, chance.choice((1, 2, 3, 4, 6, 9)))
    names = [name for name in ("algorithm", "optimizer.name", "preserve.kind", "loss.kind") if chance.random() < 0.3]
    own = [key for key in keys if key.split(".")[0] in names or key.split(".")[0] in ("dylora", "lokr")]
    chosen += names + ([chance.choice(own)] if own and chance.random() < 0.2 else [])
    return {key: _value(chance, key) for key in dict.fromkeys(chosen)}


@cache
def _field(path: str) -> FieldInfo:
    table: type[TableModel] = widen(Recipe)
    *tables, key = path.split(".")
    for name in tables:
        table = table.model_fields[name].annotation  # type: ignore[assignment]
    return table.model_fields[key]


def _value(chance: random.Random, path: str) -> object:
    registered: Mapping[str, Sequence[str]] = {
        "algorithm": trainable_algorithms(),
        "optimizer.name": list(OPTIMIZERS),
        "schedule.name": list(SCHEDULES),
    }
    if path in registered:
        return chance.choice(registered[path])
    if path in CHEAP:
        return chance.choice(CHEAP[path])
    if path == "loss.kind":
        from lorasmith.diffusion.losses import LOSSES

        return chance.choice(list(LOSSES))
    known = _field(path)
    return _of_type(chance, known.annotation, known.metadata, path)


def _of_type(chance: random.Random, kind: Any, bounds: Sequence[Any], path: str) -> object:
    """A value of an annotated type; at either end of its range as often as inside."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _of_type(chance, inner[0], [*bounds, *_flat(inner[1:])], path)
    if origin in (typing.Union, types.UnionType):
        options = [each for each in inner if each is not type(None)]
        return _of_type(chance, chance.choice(options), bounds, path)
    if origin is Literal:
        return chance.choice(inner)
    if kind is bool:
        return chance.random() < 0.7
    if kind is int or kind is float:
        return _number(chance, kind, bounds)
    raise AssertionError(f"{path}: no way to draw a {kind}; give values in CHEAP.")


def _flat(metadata: Sequence[Any]) -> Iterator[Any]:
    for each in metadata:
        yield from each.metadata if isinstance(each, FieldInfo) else (each,)


def _number(chance: random.Random, kind: type[int] | type[float], bounds: Sequence[Any]) -> float:
    limits: dict[type, float] = {}
    for each in bounds:
        for kind_of, name in ((Ge, "ge"), (Gt, "gt"), (Le, "le"), (Lt, "lt")):
            if isinstance(each, kind_of):
                limits[kind_of] = float(getattr(each, name))
    tiny = 1 if kind is int else 1e-6
    first = limits.get(Ge, limits[Gt] + tiny if Gt in limits else -3.0)
    last = limits.get(Le, limits[Lt] - tiny if Lt in limits else HARD)
    ends = [first, last, min(last, max(first, 1.0)), min(last, max(first, 0.1))]
    number = chance.choice([*ends, chance.uniform(first, last), chance.uniform(first, min(last, first + 3))])
    if kind is float:
        return number
    return min(int(number), int(limits[Lt]) - 1) if Lt in limits else int(number)


@dataclass
class Tally:
    """How combinations ended; `faults` with the recipe and what was raised."""

    ends: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Workshop:
    """A small project for each base, in a folder."""

    def __init__(self, folder: Path, bases: Sequence[str] = BASES) -> None:
        from tests.projects import build_project
        from tests.tiny import build_tiny_base

        self.folder = folder
        self.projects: dict[str, Project] = {}
        self._bases: dict[str, Base] = {}
        for name in bases:
            place = name if name == "doodle" else str(build_tiny_base(folder / f"base-{name}", name))
            self.projects[name] = build_project(folder / name, base=place, sizes=((64, 64), (64, 64), (96, 48)))
            if name != "doodle":
                self._bases[name] = load_base(Path(place))

    def run(self, name: str, values: Mapping[str, object]) -> str:
        """Train it; in what manner it ended. Raises what is not foreseen."""
        project = self.projects[name]
        wanted = {**ALWAYS, **values}
        if "epochs" in values and "target_steps" not in values:
            del wanted["target_steps"]
        own = {"prediction", "precision", "weights"} & values.keys()
        runs = project.root / "runs"
        try:
            recipe = read_recipe(project, {key: _written(value) for key, value in wanted.items()})
            events: list[object] = []
            base = None if own else self._bases.get(name)
            done = finish(train(project, recipe, base=base), events.append)
            assert done.adapter.is_file(), "no adapter was written"
            assert any(isinstance(event, StepDone) for event in events), "no step was done"
            assert not list(project.root.rglob("*.partial")), "something half written is left"
        except (RecipeError, DatasetError) as refused:
            if not _names_a_key(refused, wanted):
                raise _Finding(f"names no key: {refused}") from refused
            if runs.is_dir() and any(runs.iterdir()):
                raise _Finding(f"refused late: {refused}") from refused
            return "refused"
        except TrainingError as fault:
            if _tells_explosion(fault) and any(_spoils(key, value) for key, value in values.items()):
                return "exploded"
            raise
        finally:
            shutil.rmtree(runs, ignore_errors=True)
        return "ran"


class _Finding(AssertionError):
    """What is no way for a recipe to end."""


def _tells_explosion(fault: TrainingError) -> bool:
    return "no longer a number" in fault.message or "exploded" in fault.message


def _spoils(key: str, value: object) -> bool:
    """Whether this makes steps, or numbers in them, so large that learning ends."""
    largest = SPOILING.get(key)
    numbers = value.values() if isinstance(value, dict) else (value,)
    return largest is not None and any(isinstance(each, int | float) and abs(each) > largest for each in numbers)


def _written(value: object) -> str:
    """As `--set` takes it; a table in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {write_value(each)}" for key, each in value.items()) + "}"
    return write_value(value)


def _names_a_key(refused: LorasmithError, values: Mapping[str, object]) -> bool:
    """Whether the message has a key of the recipe, or its table, as a word."""
    names = {*values, *(key.partition(".")[0] for key in values)}
    return any(re.search(rf"\b{re.escape(name)}\b", str(refused)) for name in names) or refused.field in values


def fuzz(count: int, first: int, workshop: Workshop, seconds: float = float("inf"), *, loud: bool = False) -> Tally:
    """Combinations number `first` and following; each is a function of its number."""
    tally = Tally()
    names = list(workshop.projects)
    deadline = time.monotonic() + seconds
    for number in range(first, first + count):
        if time.monotonic() > deadline:
            break
        chance = random.Random(f"{SEED}-{number}")
        name = chance.choice(names)
        values = draw(chance)
        tally.keys.update(values.keys())
        try:
            end = workshop.run(name, values)
        except Exception as fault:
            end = "fault"
            where = traceback.extract_tb(fault.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            told = f"{number} {name} {values}: {type(fault).__name__}: {str(fault)[:400]} ({place})"
            tally.faults.append(told)
            if loud:
                print(told, flush=True)
        tally.ends[end] += 1
        if loud and (number - first + 1) % 50 == 0:
            print(f"{number - first + 1}: {dict(tally.ends)}", flush=True)
    return tally


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipe_fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="60 combinations, and no longer than 35 seconds")
    parser.add_argument("--count", type=int, default=2000, help="how many combinations")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    chosen = parser.parse_args(argv)
    print(machine())
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder), BASES[:2] if chosen.quick else BASES)
        count, seconds = (60, 25.0) if chosen.quick else (chosen.count, float("inf"))
        tally = fuzz(count, chosen.first, workshop, seconds, loud=True)
    never = sorted(set(drawn_keys()) - tally.keys.keys())
    print(f"{tally.ends.total()} combinations in {time.monotonic() - began:.0f} s: {dict(tally.ends)}")
    print(f"keys never drawn: {', '.join(never) or 'none'}")
    print(ratio_line("recipes that are neither refused by name nor run", len(tally.faults), at_most=0))
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
