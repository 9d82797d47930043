"""Which layers a recipe adapts, with which rank, and how fast each part of them learns."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase

from lorasmith.adapters.choice import choose_layers, chosen_groups
from lorasmith.bases.targets import Layered, TargetLayer
from lorasmith.errors import RecipeError
from lorasmith.training.settings import LayerSettings, NetworkSettings

CURVES: Mapping[str, Callable[[float], float]] = {
    "flat": lambda _: 1.0,
    "cosine": lambda depth: math.sin(math.pi / 2 * (1 - depth)),
    "sine": lambda depth: math.sin(math.pi / 2 * depth),
    "linear": lambda depth: depth,
    "reverse_linear": lambda depth: 1 - depth,
}
"""From the depth of a block, 0 at the first IN to 1 at the last OUT, to a factor on its rate (kohya's names)."""


class LayerChoice:
    """The recipe's word on every layer of a base. Raises RecipeError for blocks that the base lacks."""

    def __init__(self, base: Layered, settings: LayerSettings) -> None:
        self._base = base
        self._settings = settings
        self._ranks, self._alphas = settings.block_ranks, settings.block_alphas
        self._first, *self._others = (part.owner for part in base.family.text)
        blocks = _blocks(base)
        given = settings.block_rates
        if isinstance(given, str):
            last = max(1, len(blocks) - 1)
            self._factors = {block: CURVES[given](place / last) for place, block in enumerate(blocks)}
        else:
            self._factors = {block: float(_named(given, block, 1.0)) for block in blocks}
        known = {*blocks, *(_kind(block) for block in blocks)}
        rated: Collection[str] = () if isinstance(given, str) else given
        named = {*self._ranks, *self._alphas, *rated}
        if unknown := sorted(named - known):
            raise RecipeError(
                f"blocks: {base.name} has no {', '.join(unknown)}.",
                hint=f"It has {', '.join([*blocks, *dict.fromkeys(map(_kind, blocks))])}.",
            )

    def fit(self, target: TargetLayer, rank: int, alpha: float) -> tuple[int, float] | None:
        """The layer's own rank and alpha, given those of its kind; None when it is left alone."""
        if not self.rate(target.name) or not self._passes(target.name):
            return None
        if target.part == "te" or target.kind == "norm":
            return rank, alpha
        block = target.block
        own_rank = rank if target.kind == "conv3" else int(_named(self._ranks, block, rank))
        own_alpha = alpha if target.kind == "conv3" else float(_named(self._alphas, block, alpha))
        return (own_rank, own_alpha) if own_rank else None

    def rate(self, name: str) -> float:
        """The full learning rate of a layer."""
        target = self._base.layers[name]
        if target.part == "unet":
            return self._settings.unet * self._factors.get(target.block, 1.0)
        return self._settings.text_encoder_2 if target.owner in self._others else self._settings.text_encoder

    def group(self, name: str, near_output: bool) -> tuple[str, float]:
        """A word for the tensors that learn as fast as those of this layer, next to its output or not, and their
        full rate."""
        target, rate = self._base.layers[name], self.rate(name)
        owner = "unet" if target.part == "unet" else target.owner
        word = owner
        if owner == "unet" and rate != self._settings.unet:
            word = f"unet x{rate / self._settings.unet:.4g}"
        elif owner in self._others and rate == self._settings.text_encoder:
            word = self._first
        if near_output and self._settings.plus_ratio != 1:
            return f"{word} up", rate * self._settings.plus_ratio
        return word, rate

    def _passes(self, name: str) -> bool:
        only, skip = self._settings.only, self._settings.skip
        wanted = not only or any(fnmatchcase(name, pattern) for pattern in only)
        return wanted and not any(fnmatchcase(name, pattern) for pattern in skip)


def check_layers(base: Layered, network: NetworkSettings, layers: LayerSettings) -> None:
    """Raises RecipeError naming the keys by which no layer of the base is left to train, or a block that it lacks."""
    groups = chosen_groups(network.algorithm, network.groups, network.conv_rank, norms=network.norms)
    chosen = choose_layers(
        base.layers.values(),
        groups,
        rank=network.rank,
        alpha=network.alpha,
        conv_rank=network.conv_rank,
        conv_alpha=network.conv_alpha,
        text_encoder=network.trains_text,
        fit=LayerChoice(base, layers).fit,
    )
    if next(chosen, None) is not None:
        return
    given = {
        "filter.only": list(layers.only),
        "filter.skip": list(layers.skip),
        "blocks.lr": layers.block_rates if layers.block_rates != "flat" else None,
        "blocks.rank": dict(layers.block_ranks),
    }
    told = "; ".join(f"{key} = {value}" for key, value in given.items() if value)
    raise RecipeError(
        f"layers, filter and blocks leave no layer of {base.name} to train: "
        f"layers are {', '.join(sorted(groups))}" + (f"; {told}." if told else "."),
        hint="Take a pattern or a block away, or name others: filters are of names in adapter files.",
    )


def _blocks(base: Layered) -> list[str]:
    """The denoiser's blocks in the order of its forward pass."""
    found = dict.fromkeys(target.block for target in base.targets.values() if target.part == "unet")
    return [block for block in found if block != "BASE"]


def _kind(block: str) -> str:
    return block.rstrip("0123456789")


def _named(table: Mapping[str, float], block: str, default: float) -> float:
    return table.get(block, table.get(_kind(block), default))
