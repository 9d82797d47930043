"""What an adapter algorithm says of itself before anything heavy is loaded. Its factors are imported when asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from lorasmith.schema import StrictTable

if TYPE_CHECKING:
    from lorasmith.adapters.layers.factors import LayerFactors

Switch = Literal[
    "dora", "conv.tucker", "dropout.network", "dropout.rank", "rank_by_timestep", "max_weight_norm", "lr.plus_ratio"
]
"""Keys of a recipe that only some algorithms can do something with."""


class Options(StrictTable):
    """An algorithm's own options: the table of a recipe that is called as the algorithm. Here: none."""


@dataclass(frozen=True)
class Cost:
    """Against a plain LoRA on linear layers: the time of a row, and the same with convolutions too; the time that does
    not depend on rows, such as that of building weights.

    Adapter parameters: so many per rank of a plain LoRA, and so many per rank-1 LoRA that no rank changes. Over another
    algorithm, as magnitudes are, times multiply and parameters add up. `thin_convolutions`: convolutions cost what the
    family says of those of low rank.
    """

    time: float = 1.0
    conv_time: float = 1.15
    per_rank: float = 1.0
    fixed: float = 0.0
    fixed_time: float = 1.0
    thin_convolutions: bool = False


@dataclass(frozen=True)
class KohyaWords:
    """What sd-scripts and LyCORIS call an algorithm; all empty: neither knows it.

    `module`: the network module that makes it by itself, else LyCORIS's does. `algo`: LyCORIS's word for it. `flags`:
    arguments that it adds to the word of another. `arguments`: network arguments to names of our options; of several
    for one option the first is written. `modules` and `algos`: what else is read as it.
    """

    algo: str = ""
    module: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    algos: tuple[str, ...] = ()

    def tell(self, options: Options) -> dict[str, Any]:
        """Our options by the arguments that are written for them."""
        first: dict[str, str] = {}
        for argument, option in self.arguments.items():
            if option not in first.values():
                first[argument] = option
        return {argument: getattr(options, option) for argument, option in first.items()}


@dataclass(frozen=True)
class Algorithm:
    """An adapter algorithm: `name` in recipes, `title` for people, and where its factors are, as ``module:Class``.

    `trainable`: a recipe may name it; any other is read, drawn with and merged, but not trained by itself.
    `switches`: the keys beside which it may stand in a recipe. `core`: the algorithm that stands in on 3x3 convolutions
    with `conv.tucker`, where that is another. `ranked`: it has a rank. `on_norms`: it is for normalisation layers.
    """

    name: str
    title: str
    factors: str | type[Any]
    options: type[Options] = Options
    cost: Cost = Cost()
    trainable: bool = False
    switches: frozenset[Switch] = frozenset()
    core: str = ""
    ranked: bool = True
    on_norms: bool = False
    kohya: KohyaWords = KohyaWords()
    former_keys: Mapping[str, str] = field(default_factory=dict)
    """Keys of a recipe in older files, to the options that they are now."""

    @cached_property
    def kind(self) -> type[LayerFactors]:
        """The class of its factors; imports torch."""
        if isinstance(self.factors, str):
            module, _, name = self.factors.partition(":")
            found: type[LayerFactors] = getattr(importlib.import_module(module), name)
            return found
        return self.factors
