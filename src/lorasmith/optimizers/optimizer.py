"""What an optimizer is, and what it says of itself before anything heavy is loaded."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import BeforeValidator, Field

from lorasmith.errors import RecipeError
from lorasmith.remedies import Install
from lorasmith.schema import StrictTable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lorasmith.optimizers.flat import FlatGroup


class Optimizer(Protocol):
    """Turns gradients into steps. `state` is everything it remembers, by name; `load` takes it back.

    `settled`: inside, the buffers hold what shall be saved, for an optimizer that learns elsewhere than it ends.
    """

    description: str

    def step(self, rates: Mapping[str, float]) -> None: ...
    def state(self) -> dict[str, Tensor]: ...
    def load(self, state: Mapping[str, Tensor]) -> None: ...
    def settled(self) -> AbstractContextManager[None]: ...


class OptimizerOptions(StrictTable):
    """What every optimizer is told; an optimizer's own options are a subclass."""

    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(default=0.01, description="decoupled weight decay")

    tolerated: ClassVar[frozenset[str]] = frozenset(("weight_decay",))
    """Options that may stand beside an optimizer that has no use for them."""


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


_Kept = Annotated[float, Field(ge=0, lt=1)]


class BetasOptions(OptimizerOptions):
    """Of an optimizer with two memories."""

    betas: Annotated[tuple[_Kept, _Kept] | None, BeforeValidator(_as_tuple)] = Field(
        default=None, description="how long the optimizer remembers gradients and their squares"
    )


@dataclass(frozen=True)
class OptimizerWords:
    """What other trainers call an optimizer. `kohya`: its `optimizer_type` at sd-scripts, empty: it has none; `also`:
    other types that are read as it. `arguments`: `optimizer_args` to our options. `unused`: arguments that change
    nothing, or that we always mean; `beside` gives those to write along with some options. `defaults`: what an argument
    means where it is not given. `hub`: its name at the hub's trainer, and `hub_adds` the options that its worker
    adds."""

    kohya: str = ""
    also: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=lambda: {"weight_decay": "weight_decay"})
    unused: frozenset[str] = frozenset()
    beside: Callable[[Any], Mapping[str, str]] = lambda _options: {}
    defaults: Mapping[str, Any] = field(default_factory=dict)
    hub: str = ""
    hub_adds: Mapping[str, Any] = field(default_factory=dict)


BETAS = {"weight_decay": "weight_decay", "betas": "betas"}
"""The arguments of an optimizer with `BetasOptions`."""

Build = Callable[[Sequence["FlatGroup"], Any], Optimizer]
"""From groups of parameters and the entry's own options."""


@dataclass(frozen=True)
class OptimizerEntry:
    """An optimizer: `name` in recipes, `about` what a person should know of it, `build` what makes it.

    `remembers`: bytes per parameter. `preset`: what it calls for where the project says nothing else, as `[recipe]`
    has it. `package`: the library that it needs, which the extra `extra` installs; `trial` raises RecipeError where the
    library cannot step on a device. `one_rate`: all groups must learn at
    one rate. `averages`: it averages its steps by itself.
    """

    name: str
    build: Build
    remembers: int
    options: type[OptimizerOptions] = OptimizerOptions
    about: str = ""
    preset: Mapping[str, Any] = field(default_factory=dict)
    package: str = ""
    extra: str = "optim"
    trial: Callable[[Any], None] | None = None
    one_rate: bool = False
    averages: bool = False
    words: OptimizerWords = OptimizerWords()

    def make(self, groups: Sequence[FlatGroup], options: OptimizerOptions | None = None) -> Optimizer:
        """The optimizer of these groups, with the entry's own options or their defaults. Raises RecipeError when its
        library cannot be used."""
        self.require()
        self.try_out(groups[0].data.device)
        return self.build(groups, self.options() if options is None else options)

    def try_out(self, device: torch.device) -> None:
        """Raises RecipeError when it cannot step on this device."""
        if self.trial is not None:
            self.require()
            self.trial(device)

    def require(self) -> None:
        """Raises RecipeError when the library that it needs is not installed."""
        if self.package and find_spec(self.package) is None:
            raise RecipeError(
                f"optimizer.name = {self.name} needs {self.package}.",
                hint="Install it:",
                remedy=Install(self.extra),
            )


def load_library(entry: OptimizerEntry) -> Any:
    """The library of an optimizer. Raises RecipeError when it cannot be imported."""
    entry.require()
    return importlib.import_module(entry.package)


def describe(name: str, said: Mapping[str, Any]) -> str:
    """As sd-scripts writes it: ``module.Class(key=value,...)``."""
    return f"{name}({','.join(f'{key}={value}' for key, value in said.items())})"
