"""What a recipe chooses by name: algorithm, optimizer, learning-rate schedule. Keys and rules come from the registries.

A recipe's tables have the options of all entries as keys, so that every fault is told at once and a near key is found;
an option of an entry that is not chosen must stay as it is by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, Field, create_model

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.algorithm import Switch
from lorasmith.errors import did_you_mean
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.optimizer import OptimizerOptions
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.optimizers.schedules.schedule import ScheduleOptions
from lorasmith.registry import Registry
from lorasmith.schema import StrictTable

Table = TypeVar("Table", bound=StrictTable)
SWITCHES: tuple[Switch, ...] = get_args(Switch)
"""Keys that only some algorithms can do something with."""


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


def widen(recipe: type[Table]) -> type[Table]:
    """A recipe's class with the options of everything that is registered now."""
    if recipe in _WIDE.values():
        return recipe
    lists: tuple[Mapping[str, Any], ...] = (ALGORITHMS, OPTIMIZERS, SCHEDULES)
    key = (recipe, *((name, entry.options) for entries in lists for name, entry in entries.items()))
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
