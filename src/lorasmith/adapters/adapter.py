"""An adapter as a value: factors by layer name, and its metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.algorithm import LayerFactors
from lorasmith.bases.base import Base
from lorasmith.errors import AdapterError, did_you_mean


@dataclass(frozen=True, eq=False)
class Adapter:
    """Factors by the kohya name of their layer (in a file also another tool's), and the file's metadata."""

    name: str
    layers: Mapping[str, LayerFactors]
    metadata: Mapping[str, str]

    @property
    def bytes(self) -> int:
        """Memory of the factors."""
        return sum(tensor.nbytes for factors in self.layers.values() for tensor in factors.trained().values())

    @property
    def rank(self) -> int:
        """The commonest rank of its layers."""
        return Counter(factors.rank for factors in self.layers.values()).most_common(1)[0][0]

    @property
    def alpha(self) -> float | None:
        """The commonest alpha of the layers with the commonest rank."""
        alphas = Counter(factors.alpha for factors in self.layers.values() if factors.rank == self.rank)
        return alphas.most_common(1)[0][0]


def new_adapter(
    base: Base,
    *,
    name: str,
    algorithm: str = "lora",
    rank: int,
    alpha: float,
    conv_rank: int = 0,
    conv_alpha: float | None = None,
    text_encoder: bool,
    generator: torch.Generator,
    groups: Collection[str] = ("attention", "mlp"),
) -> Adapter:
    """Fresh factors, without effect, for the base's layers of `groups`; drawn in the order of the name table.

    `conv_rank` > 0 adds the residual blocks as sd-scripts does: 3x3 convolutions with `conv_rank` and `conv_alpha`
    (`alpha` when None), their 1x1 convolutions and time projections with `rank`. Raises AdapterError.
    """
    if algorithm not in ALGORITHMS:
        hint = did_you_mean(algorithm, ALGORITHMS) or f"Known: {', '.join(ALGORITHMS)}."
        raise AdapterError(f'algorithm "{algorithm}" is unknown.', hint=hint)
    for word, value in (("rank", rank), ("alpha", alpha), ("conv rank", conv_rank or 1)):
        if value <= 0:
            raise AdapterError(f"{word} {value} is not above 0.")
    chosen = set(groups) | ({"conv", "time"} if conv_rank else set())
    layers: dict[str, LayerFactors] = {}
    for target in base.targets.values():
        if target.group not in chosen or (target.part == "te" and not text_encoder):
            continue
        wide = target.kind == "conv3" and conv_rank > 0
        layers[target.name] = ALGORITHMS[algorithm].initial(
            cast(nn.Linear, base.module(target.name)).weight,
            conv_rank if wide else rank,
            conv_alpha if wide and conv_alpha is not None else alpha,
            generator,
        )
    if not layers:
        raise AdapterError(f"no layer of {base.name} is in {', '.join(sorted(chosen))}.")
    return Adapter(name, layers, {})


def fit_adapter(adapter: Adapter, base: Base) -> Adapter:
    """The adapter with every layer under the base's own name for it. Raises AdapterError where it does not fit.

    Other tools' spellings of the same layers are understood: diffusers names and `lora_te_` in SDXL files.
    """
    aliases = _aliases(base)
    layers: dict[str, LayerFactors] = {}
    unmatched: list[str] = []
    for name, factors in adapter.layers.items():
        known = name if name in base.targets else aliases.get(name)
        if known is None:
            unmatched.append(name)
        elif known in layers:
            raise AdapterError(f"names the layer {known} twice, in two spellings.", where=adapter.name)
        else:
            layers[known] = factors
    if unmatched:
        raise AdapterError(
            _unmatched_message(adapter, unmatched, base),
            where=adapter.name,
            hint=f"It was made for {adapter.metadata.get('ss_base_model_version', 'another model')}; "
            f"this base is {base.name} ({base.family}).",
        )
    for name, factors in layers.items():
        fault = factors.shape_fault(cast(nn.Linear, base.module(name)).weight)
        if fault:
            raise AdapterError(
                f"does not fit {base.name}: {name} is {fault}.",
                where=adapter.name,
                hint=f"It was made for another base than this one ({base.family}).",
            )
    return replace(adapter, layers=layers)


def _unmatched_message(adapter: Adapter, unmatched: list[str], base: Base) -> str:
    shown = ", ".join(unmatched[:5]) + (f" and {len(unmatched) - 5} more" if len(unmatched) > 5 else "")
    if len(unmatched) == len(adapter.layers):
        return f"fits nothing on {base.name}: none of its {len(unmatched)} layers is there ({shown})."
    return f"{len(unmatched)} of its {len(adapter.layers)} layers are not on {base.name}: {shown}."


def _aliases(base: Base) -> dict[str, str]:
    """Other spellings of the base's layers, to its own."""
    aliases: dict[str, str] = {}
    for target in base.targets.values():
        aliases[target.diffusers_name] = target.name
        if target.part == "te":
            head, tail = target.name.split("_text_model_", 1)
            plain = head.replace("lora_te1", "lora_te")
            aliases[f"{head}_{tail}"] = target.name
            aliases[f"{plain}_text_model_{tail}"] = target.name
            aliases[f"{plain}_{tail}"] = target.name
    return aliases
