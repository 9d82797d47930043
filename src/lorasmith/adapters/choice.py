"""Which layers of a base a new adapter has factors on, with which rank and alpha. Importable without torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.bases.targets import TargetLayer

Fit = Callable[[TargetLayer, int, float], tuple[int, float] | None]
"""From a layer, and the rank and alpha of its kind, to its own."""


def chosen_groups(algorithm: str, groups: Collection[str], conv_rank: int, *, norms: bool) -> set[str]:
    """The groups of layers that have factors; an algorithm for norms is they alone."""
    if ALGORITHMS[algorithm].on_norms:
        return {"norm"}
    return {*groups, *(("conv", "time") if conv_rank else ()), *(("norm",) if norms else ())}


def choose_layers(
    layers: Iterable[TargetLayer],
    groups: Collection[str],
    *,
    rank: int,
    alpha: float,
    conv_rank: int,
    conv_alpha: float | None,
    text_encoder: bool,
    fit: Fit | None,
) -> Iterator[tuple[TargetLayer, int, float]]:
    """Each layer of these groups that is adapted, with its rank and alpha; see `new_adapter`."""
    for target in layers:
        if target.group not in groups or (target.part == "te" and not text_encoder):
            continue
        wide = target.kind == "conv3" and conv_rank > 0
        own_rank = conv_rank if wide else rank
        own_alpha = conv_alpha if wide and conv_alpha is not None else alpha
        fitted = (own_rank, own_alpha) if fit is None else fit(target, own_rank, own_alpha)
        if fitted is not None:
            yield target, *fitted
