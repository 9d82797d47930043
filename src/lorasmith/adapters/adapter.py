"""An adapter as a value: factors by layer name, and its metadata."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import torch
from torch import nn

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.algorithm import Options
from lorasmith.adapters.algorithms.dora.factors import DoraFactors
from lorasmith.adapters.choice import Fit, choose_layers, chosen_groups
from lorasmith.adapters.layers.factors import Fresh, LayerFactors
from lorasmith.bases.base import Base
from lorasmith.errors import AdapterError


@dataclass(frozen=True, eq=False)
class Adapter:
    """Factors by the kohya name of their layer (in a file also another tool's), and the file's metadata.

    `embeddings` are the tensors of embeddings that lie in the file, by their keys (``bundle_emb.NAME.clip_l``).
    `skipped` names what of the file cannot be used; with `skips`, layers that a base has not are left out and named
    there, else they are an error.
    """

    name: str
    layers: Mapping[str, LayerFactors]
    metadata: Mapping[str, str]
    embeddings: Mapping[str, torch.Tensor] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    skips: bool = False

    @cached_property
    def bytes(self) -> int:
        """Memory of the factors."""
        return sum(tensor.nbytes for factors in self.layers.values() for tensor in factors.trained().values())

    @property
    def rank(self) -> int:
        """The commonest rank of its layers; norms count only when there is nothing else."""
        ranked = [factors.rank for factors in self.layers.values() if not factors.on_norms]
        return Counter(ranked or [1]).most_common(1)[0][0]

    @property
    def alpha(self) -> float | None:
        """The commonest alpha of the layers with the commonest rank."""
        rank = self.rank
        alphas = Counter(
            factors.alpha for factors in self.layers.values() if factors.rank == rank and not factors.on_norms
        )
        return None if not alphas else alphas.most_common(1)[0][0]


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
    options: Options | None = None,
    tucker: bool = False,
    dora: bool = False,
    rank_stabilised: bool = False,
    norms: bool = False,
    fit: Fit | None = None,
) -> Adapter:
    """Fresh factors, without effect, for the base's layers of `groups`; drawn in the order of the name table.

    `conv_rank` > 0 adds the residual blocks as sd-scripts does: 3x3 convolutions with `conv_rank` and `conv_alpha`
    (`alpha` when None), their 1x1 convolutions and time projections with `rank`. `options` are the algorithm's own.
    `tucker` gives 3x3 convolutions a core, where the algorithm has one. `dora` puts the algorithm under magnitudes.
    `rank_stabilised` scales by alpha / sqrt(rank) (Kalajdzievski 2023), stored as alpha * sqrt(rank) so that every
    reader is right. `norms` adds the normalisation layers; an algorithm for norms is they alone. `fit` may give a layer
    a rank and alpha of its own, or None to leave it alone. Raises AdapterError.
    """
    if algorithm not in ALGORITHMS:
        raise AdapterError(f'algorithm "{algorithm}" is unknown.', hint=ALGORITHMS.suggest(algorithm))
    entry = ALGORITHMS[algorithm]
    for word, value in (("rank", rank), ("alpha", alpha), ("conv rank", conv_rank or 1)):
        if value <= 0:
            raise AdapterError(f"{word} {value} is not above 0.")
    able = [name for name, each in ALGORITHMS.items() if "dora" in each.switches]
    if dora and algorithm not in able:
        raise AdapterError(
            f'"{algorithm}" cannot be put under magnitudes.',
            hint=f"Those can: {', '.join(able)}.",
        )
    chosen = chosen_groups(algorithm, groups, conv_rank, norms=norms)
    layers: dict[str, LayerFactors] = {}
    for target, own_rank, own_alpha in choose_layers(
        base.layers.values(),
        chosen,
        rank=rank,
        alpha=alpha,
        conv_rank=conv_rank,
        conv_alpha=conv_alpha,
        text_encoder=text_encoder,
        fit=fit,
    ):
        weight = cast(nn.Linear, base.module(target.name)).weight
        if target.kind == "norm":
            norms_own = next(each for each in ALGORITHMS.values() if each.on_norms)
            layers[target.name] = norms_own.kind.initial(weight, Fresh(1, 1.0, generator))
            continue
        if rank_stabilised:
            own_alpha *= math.sqrt(own_rank)
        own = entry
        if tucker and own.core and target.kind == "conv3":
            own = ALGORITHMS[own.core]
        try:
            factors = own.kind.initial(weight, Fresh(own_rank, own_alpha, generator, options, tucker))
        except ValueError as fault:
            raise AdapterError(f"{algorithm} does not fit {target.name}: {fault}.", where=base.name) from None
        layers[target.name] = DoraFactors.over(factors, weight) if dora else factors
    if not layers:
        left = "" if fit is None else " that rates and filters do not leave alone"
        raise AdapterError(f"no layer of {base.name} is in {', '.join(sorted(chosen))}{left}.")
    return Adapter(name, layers, {})
