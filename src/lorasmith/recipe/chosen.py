"""What a recipe chooses by name: algorithm, optimizer, learning-rate schedule. Keys and rules come from the registries.

A recipe's tables have the options of all entries as keys, so that every fault is told at once and a near key is found;
an option of an entry that is not chosen must stay as it is by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, Field, create_model

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.algorithm import Algorithm, Switch
from lorasmith.errors import did_you_mean
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.optimizer import OptimizerOptions
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.optimizers.schedules.schedule import ScheduleOptions
from lorasmith.registry import Registry
from lorasmith.schema import StrictTable

if TYPE_CHECKING:
    from lorasmith.recipe.recipe import Recipe

Table = TypeVar("Table", bound=StrictTable)
SWITCHES: tuple[Switch, ...] = get_args(Switch)


def _one_of(registry: Registry[Any], what: str) -> AfterValidator:
    def check(name: str) -> str:
        if name not in registry:
            raise ValueError(f"unknown {what}. {registry.suggest(name)}")
        return name

    return AfterValidator(check)


def _trainable(name: str) -> str:
    known = trainable_algorithms()
    if name in ALGORITHMS and name not in known:
        raise ValueError(f"files with it are read, but it is not trained. Those are: {', '.join(known)}.")
    if name not in known:
        raise ValueError(f"unknown algorithm. {did_you_mean(name, known) or 'Known: ' + ', '.join(known) + '.'}")
    return name


AlgorithmName = Annotated[str, AfterValidator(_trainable)]
OptimizerName = Annotated[str, _one_of(OPTIMIZERS, "optimizer")]
ScheduleName = Annotated[str, _one_of(SCHEDULES, "learning-rate schedule")]


class OptimizerTable(StrictTable):
    """[recipe.optimizer]: its name, and the options of all optimizers."""

    name: OptimizerName = Field(default="adamw", description="what turns gradients into steps")

    @property
    def options(self) -> OptimizerOptions:
        """The chosen optimizer's own."""
        return own_options(self, OPTIMIZERS[self.name].options)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class ScheduleTable(StrictTable):
    """[recipe.schedule]: the learning rate over the run; the options of all schedules."""

    name: ScheduleName = Field(default="cosine", description="its shape")
    warmup: Annotated[float, Field(ge=0)] = Field(default=0, description="steps, or below 1 the share of the run")

    @property
    def options(self) -> ScheduleOptions:
        """The chosen schedule's own."""
        return own_options(self, SCHEDULES[self.name].options)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def own_options(table: StrictTable, kind: type[Table]) -> Table:
    """Those of a table's values that are options of this kind."""
    return kind(**{key: getattr(table, key) for key in kind.model_fields})


_WIDE: dict[object, type[Any]] = {}


def widen(recipe: type[Recipe]) -> type[Recipe]:
    """The recipe with the options of everything that is registered now."""
    if recipe in _WIDE.values():
        return recipe
    lists: tuple[Mapping[str, Any], ...] = (ALGORITHMS, OPTIMIZERS, SCHEDULES)
    key = tuple((name, entry.options) for entries in lists for name, entry in entries.items())
    if key not in _WIDE:
        optimizer, schedule = _join(OptimizerTable, OPTIMIZERS), _join(ScheduleTable, SCHEDULES)
        tables = [optimizer, schedule, *(each.options for each in ALGORITHMS.values() if each.options.model_fields)]
        names = ["optimizer", "schedule", *(name for name, each in ALGORITHMS.items() if each.options.model_fields)]
        fields: dict[str, Any] = {name: (table, table()) for name, table in zip(names, tables, strict=True)}
        _WIDE[key] = create_model("Recipe", __base__=recipe, __doc__=recipe.__doc__, **fields)
    return _WIDE[key]


def _join(table: type[Table], registry: Registry[Any]) -> type[Table]:
    """The table with the options of all entries."""
    kinds = list(dict.fromkeys(entry.options for entry in registry.values()))
    last = [kind for kind in kinds if not any(kind is not other and issubclass(other, kind) for other in kinds)]
    return create_model(table.__name__, __base__=(*last, table), __doc__=table.__doc__)


def read_former_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's values with keys of older files where they stand now; what stands there already goes first."""
    result = dict(values)
    for name, algorithm in ALGORITHMS.items():
        for former, option in algorithm.former_keys.items():
            if former in result:
                own = result.get(name, {})
                value = result.pop(former)
                result[name] = {option: value, **own} if isinstance(own, Mapping) else own
    return result


def trainable_algorithms(switch: Switch | None = None) -> list[str]:
    """The algorithms that a recipe may name, plain LoRA first; with `switch` those that may stand beside it."""
    names = [name for name, each in ALGORITHMS.items() if each.trainable and switch in (None, *each.switches)]
    return sorted(names, key=lambda name: (name != "lora", name))


def acting_algorithms(recipe: Recipe) -> list[Algorithm]:
    """The recipe's algorithm, and what its switches put over it or in its place."""
    chosen = ALGORITHMS[recipe.algorithm]
    names = ["dora"] * recipe.dora + [chosen.core] * bool(recipe.conv.tucker and recipe.conv.rank and chosen.core)
    return [chosen, *(ALGORITHMS[name] for name in names)]


def algorithm_faults(recipe: Recipe) -> Iterator[str]:
    """What does not go together with the algorithm."""
    name, chosen, acting = recipe.algorithm, ALGORITHMS[recipe.algorithm], acting_algorithms(recipe)
    if recipe.dora and "dora" not in chosen.switches:
        yield f"dora goes with {listed(trainable_algorithms('dora'))}, not with {name}."
    if recipe.conv.tucker and (not recipe.conv.rank or "conv.tucker" not in chosen.switches):
        yield f"conv.tucker needs conv.rank, and {listed(trainable_algorithms('conv.tucker'), 'or')}."
    wrong = [
        switch
        for switch in SWITCHES
        if switch not in ("dora", "conv.tucker")
        and not is_default(recipe, switch)
        and any(switch not in each.switches for each in acting)
    ]
    if "lr.plus_ratio" in wrong:
        wrong.remove("lr.plus_ratio")
        yield f"lr.plus_ratio is for {listed(trainable_algorithms('lr.plus_ratio'))}, not for {name}."
    by_names: dict[str, list[str]] = {}
    for switch in wrong:
        by_names.setdefault(listed(trainable_algorithms(switch)), []).append(switch)
    for names, switches in by_names.items():
        yield f"{', '.join(switches)}: for plain {names} only."
    if recipe.blocks.rank and not chosen.ranked:
        yield f"blocks.rank: {name} has no rank."


def option_faults(recipe: Recipe) -> Iterator[str]:
    """Options that are another optimizer's or schedule's than the chosen one's."""
    tables: Sequence[tuple[str, StrictTable, str, Registry[Any]]] = (
        ("optimizer", recipe.optimizer, recipe.optimizer.name, OPTIMIZERS),
        ("schedule", recipe.schedule, recipe.schedule.name, SCHEDULES),
    )
    for word, table, chosen, registry in tables:
        for key in type(table).model_fields:
            owners = [name for name, entry in registry.items() if key in entry.options.model_fields]
            if not owners or chosen in owners or key in registry[owners[0]].options.tolerated:
                continue
            if not is_default(table, key):
                alone = f"{word}.{key} is {owners[0]}'s, not {chosen}'s."
                yield alone if len(owners) == 1 else f"{word}.{key}: {chosen} has none."


def is_default(table: StrictTable, path: str) -> bool:
    """Whether a dotted key has the value that it has by default."""
    *tables, key = path.split(".")
    for name in tables:
        table = getattr(table, name)
    return bool(getattr(table, key) == type(table).model_fields[key].get_default(call_default_factory=True))


def listed(names: Sequence[str], word: str = "and") -> str:
    """``a, b and c``."""
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
