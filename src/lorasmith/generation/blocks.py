"""Block weights (`lbw=`): which block of the denoiser a layer lies in, and the parts of an adapter by their weight.

The layouts, as LoRA makers list them: BASE (the text encoders), IN blocks, the middle, OUT blocks, numbered as in
Stability's own code. A block that a layout does not list has the weight of the nearest listed one on its side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.bases.base import Base
from lorasmith.errors import PromptError


def split_by_blocks(adapter: Adapter, weights: tuple[float, ...], base: Base) -> dict[float, Adapter]:
    """The adapter's layers by their block's weight: adapters that act together as the whole one would; 0 is left out.

    Raises PromptError when the weights are another family's, AdapterError when the adapter does not fit the base.
    """
    blocks = base.family.block_layouts.get(len(weights))
    if blocks is None:
        fitting = [str(number) for number in sorted(base.family.block_layouts)]
        raise PromptError(
            f"{len(weights)} block weights are not for this base ({base.family.title}).",
            where="prompt",
            hint=f"Give {' or '.join(fitting)}." if fitting else "Its family has no list of blocks.",
        )
    listed = dict(zip(blocks, weights, strict=True))
    parts: dict[float, dict[str, LayerFactors]] = {}
    fitted = fit_adapter(adapter, base)
    for name, factors in fitted.layers.items():
        target = base.layers[name]
        weight = weights[0] if target.part == "te" else _weigh(target.block, listed)
        if weight != 0:
            parts.setdefault(weight, {})[name] = factors
    return {weight: replace(fitted, layers=layers) for weight, layers in parts.items()}


def _weigh(block: str, listed: Mapping[str, float]) -> float:
    """The weight of a block of the denoiser. What stands behind all blocks (the last norm) counts as the last one."""
    if block in listed and block != "BASE":
        return listed[block]
    if block == "BASE":
        return listed[list(listed)[-1]]
    side = _side(block)
    number = int(block.removeprefix(side))
    same = {int(name.removeprefix(side)): weight for name, weight in listed.items() if _side(name) == side}
    return same[min(same, key=lambda each: abs(each - number))]


def _side(block: str) -> str:
    return block.rstrip("0123456789")
