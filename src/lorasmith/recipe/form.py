"""The recipe as a form: every key with its kind, range and choices, what the preset says, and what the project says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorasmith.bases.detection import locate_base, preset_family
from lorasmith.bases.families import UNKNOWN
from lorasmith.diffusion.losses import LOSSES
from lorasmith.errors import RecipeError
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.project import Project
from lorasmith.recipe.chosen import trainable_algorithms, widen
from lorasmith.recipe.overrides import flatten_table
from lorasmith.recipe.presets import explain_preset, preset
from lorasmith.recipe.recipe import Recipe, read_recipe, recipe_values
from lorasmith.recipe.reference import RecipeKey, recipe_keys

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Length and size": (
        "epochs", "target_steps", "batch_size", "accumulate", "resolution", "bucket", "seed", "save_every", "keep_last"
    ),
    "Adapter": (
        "algorithm", "rank", "alpha", "conv", "layers", "dora", "rank_stabilised", "norms", "rank_by_timestep",
        "filter", "blocks", "init", "training_adapter",
    ),
    "Learning": (
        "lr", "optimizer", "schedule", "max_grad_norm", "max_weight_norm", "delta_norm", "average", "dropout",
        "strength",
    ),
    "Loss and noise": ("loss", "noise", "timesteps", "prediction"),
    "Captions and images": ("caption", "flip", "augment", "clip_skip", "preserve"),
    "Watching": ("validation", "sample", "tensorboard", "private"),
    "Base and memory": (
        "base", "precision", "weights", "checkpointing", "blocks_to_swap", "compile",
        "cache_text_encoder_outputs", "fit_memory",
    ),
}  # fmt: skip
"""Title -> first parts of the keys below it, in the form's order; algorithms' own options go with the adapter."""
_FIRST = (
    "epochs", "target_steps", "batch_size", "resolution", "rank", "alpha", "algorithm", "lr.unet", "lr.text_encoder",
    "optimizer.name", "schedule.name", "base", "save_every", "sample.prompts",
)  # fmt: skip
"""Keys that most people look for."""


@dataclass(frozen=True)
class FormKey:
    """A key of the form. `kind` is number, integer, boolean, text, choice, choices (several of them), list or table;
    `value` what a run would have now, `preset` what it would have without the project's own word, `is_set` whether
    that word is there. None is a value that is not set."""

    path: str
    group: str
    kind: str
    meaning: str
    value: object
    preset: object
    default: object
    is_set: bool
    usual: bool
    least: float | None = None
    most: float | None = None
    choices: tuple[str | int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self)) | {"choices": list(self.choices)}


@dataclass(frozen=True)
class RecipeForm:
    """All keys; `reasons` say why the preset's values are what they are; `problem` what is wrong with the file now."""

    keys: Sequence[FormKey]
    kind: str
    family: str
    reasons: Sequence[str]
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        preset = {"kind": self.kind, "family": self.family, "reasons": list(self.reasons)}
        groups = [{"title": title, "keys": [k.as_json() for k in self.keys if k.group == title]} for title in GROUPS]
        return {"groups": groups, "preset": preset, "problem": self.problem}


_MOST = 2**53
"""Whole numbers of JSON that every reader knows exactly; a greater bound is none for people."""


def recipe_form(project: Project) -> RecipeForm:
    """The form of a project's recipe, also when its file has faults: the values are then the preset's."""
    given = project.table("recipe")
    base = given.get("base", project.lora.base)
    located = locate_base(base, project.root) if isinstance(base, str) else base
    family = preset_family(located) if isinstance(located, str) else UNKNOWN
    kind = project.lora.subject
    start = flatten_table(preset(kind, family)) | {"base": project.lora.base}
    problem = None
    try:
        now = flatten_table(recipe_values(read_recipe(project)))
    except RecipeError as fault:
        problem, now = str(fault), {key.path: _plain(key.default) for key in recipe_keys()} | start
    schema = widen(Recipe).model_json_schema()
    own = flatten_table(given)
    start["resolution"] = _sides(start.get("resolution"))
    order = list(GROUPS)
    unsorted = (_key(key, schema, now, start, own, given) for key in recipe_keys())
    keys = sorted(unsorted, key=lambda key: order.index(key.group))
    return RecipeForm(keys, kind.value, family.name, explain_preset(kind, family), problem)


def _key(
    key: RecipeKey,
    schema: Mapping[str, Any],
    now: Mapping[str, Any],
    start: Mapping[str, Any],
    own: Mapping[str, Any],
    given: Mapping[str, Any],
) -> FormKey:
    path, default = key.path, _plain(key.default)
    is_set = path in own or _reach(given, path) is not None
    kind, least, most, choices = _kind(path, _schema_of(schema, path), default)
    value = now.get(path, _reach_table(now, path, default if kind == "table" else None))
    before = start.get(path, _reach_table(start, path, default))
    group = _group(path)
    return FormKey(path, group, kind, key.meaning, value, before, default, is_set, path in _FIRST, least, most, choices)


def _group(path: str) -> str:
    first = path.partition(".")[0]
    return next((title for title, names in GROUPS.items() if first in names), "Adapter")


def _kind(
    path: str, schema: Mapping[str, Any], default: object
) -> tuple[str, float | None, float | None, tuple[str | int, ...]]:
    """(kind, least, most, choices) by the key's JSON schema."""
    named: Mapping[str, Callable[[], Iterable[str]]] = {
        "algorithm": trainable_algorithms,
        "optimizer.name": lambda: OPTIMIZERS,
        "schedule.name": lambda: SCHEDULES,
        "loss.kind": lambda: LOSSES,
    }
    if path in named:
        return "choice", None, None, tuple(named[path]())
    options = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    if {each.get("type") for each in options} == {"string", "boolean"}:
        words = [word for each in options for word in each.get("enum", [each["const"]] if "const" in each else [])]
        return "choice", None, None, (*words, True, False)
    for each in options:
        if each.get("enum"):
            return ("choice" if len(options) == 1 else "text"), None, None, tuple(each["enum"])
    first = options[0] if len(options) == 1 else {}
    word = first.get("type")
    if word in ("integer", "number"):
        least, most = (
            first.get("minimum", first.get("exclusiveMinimum")),
            first.get("maximum", first.get("exclusiveMaximum")),
        )
        return str(word), least, most if most is None or most < _MOST else None, ()
    if word == "boolean":
        return "boolean", None, None, ()
    if word == "array":
        inner = first.get("items", {})
        return ("choices" if inner.get("enum") else "list"), None, None, tuple(map(str, inner.get("enum", ())))
    if isinstance(default, Mapping):
        return "table", None, None, ()
    return "text", None, None, ()


def _schema_of(schema: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    place = schema
    for part in path.split("."):
        place = _resolved(schema, place)["properties"][part]
    return _resolved(schema, place)


def _resolved(schema: Mapping[str, Any], place: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with what it refers to in its place."""
    several = place.get("allOf")
    inner = several[0] if isinstance(several, list) and len(several) == 1 else place
    name = inner.get("$ref")
    if not isinstance(name, str):
        return place
    found: Mapping[str, Any] = schema["$defs"][name.rpartition("/")[2]]
    return found


def _sides(value: object) -> object:
    """A resolution as both its sides."""
    return [value, value] if isinstance(value, int) else value


def _reach(table: Mapping[str, Any], path: str) -> object:
    place: object = table
    for part in path.split("."):
        if not isinstance(place, Mapping) or part not in place:
            return None
        place = place[part]
    return place


def _reach_table(flat: Mapping[str, Any], path: str, missing: object) -> object:
    """A table that was flattened with the others, put together again."""
    inner = {key.removeprefix(f"{path}."): value for key, value in flat.items() if key.startswith(f"{path}.")}
    return inner or missing


def _plain(value: object) -> object:
    """A default as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
