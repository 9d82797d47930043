"""Block weights (`lbw=`): which block of the denoiser a layer lies in, and the parts of an adapter by their weight.

The layouts, as LoRA makers list them: BASE (the text encoders), IN blocks, the middle, OUT blocks, numbered as in
Stability's own code. A block that a layout does not list has the weight of the nearest listed one on its side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from lorasmith.adapters.adapter import Adapter, fit_adapter
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.bases.base import Base
from lorasmith.bases.targets import unet_targets
from lorasmith.errors import PromptError

#: How many weights, to the IN and OUT blocks that they are for.
LAYOUTS: Mapping[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    12: ((4, 5, 7, 8), tuple(range(6))),
    17: ((1, 2, 4, 5, 7, 8), tuple(range(3, 12))),
    20: (tuple(range(9)), tuple(range(9))),
    26: (tuple(range(12)), tuple(range(12))),
}
#: Layouts of SDXL; the others are of SD 1 and 2.
XL_LAYOUTS = (12, 20)
_BLOCK = re.compile(r"lora_unet_(?:(input|output)_blocks_(\d+)|(middle)_block)_")
_PLACE = re.compile(r"(?:down_blocks|up_blocks)\.\d+\.\w+\.\d+|mid_block")


def split_by_blocks(adapter: Adapter, weights: tuple[float, ...], base: Base) -> dict[float, Adapter]:
    """The adapter's layers by their block's weight: adapters that act together as the whole one would; 0 is left out.

    Raises PromptError when the weights are another family's, AdapterError when the adapter does not fit the base.
    """
    is_xl = base.family.name == "sdxl"
    if (len(weights) in XL_LAYOUTS) != is_xl:
        fitting = [str(number) for number in LAYOUTS if (number in XL_LAYOUTS) == is_xl]
        raise PromptError(
            f"{len(weights)} block weights are not for this base ({base.family}).",
            where="prompt",
            hint=f"Give {' or '.join(fitting)}.",
        )
    places = _number_places(base)
    parts: dict[float, dict[str, LayerFactors]] = {}
    fitted = fit_adapter(adapter, base)
    for name, factors in fitted.layers.items():
        target = base.layers[name]
        weight = weights[0] if target.part == "te" else _weigh(places, target.path, weights)
        if weight != 0:
            parts.setdefault(weight, {})[name] = factors
    return {weight: replace(fitted, layers=layers) for weight, layers in parts.items()}


def _number_places(base: Base) -> dict[str, tuple[str, int]]:
    """The diffusers path of every block to its side ("input", "middle", "output") and number."""
    config = base.denoiser.config
    plain, numbered = (unet_targets(config, stability_names=named) for named in (False, True))
    places = {}
    for ours, theirs in zip(plain, numbered, strict=True):
        block, place = _BLOCK.match(theirs.name), _PLACE.match(ours.path)
        if block is not None and place is not None:
            places[place[0]] = (block[1] or "middle", int(block[2] or 0))
    return places


def _weigh(places: Mapping[str, tuple[str, int]], path: str, weights: tuple[float, ...]) -> float:
    ins, outs = LAYOUTS[len(weights)]
    place = _PLACE.match(path)
    # What stands behind all blocks (the last norm) counts as the last OUT block.
    side, number = places[place[0]] if place is not None else ("output", max(outs))
    if side == "middle":
        return weights[1 + len(ins)]
    listed, first = (ins, 1) if side == "input" else (outs, 2 + len(ins))
    nearest = min(range(len(listed)), key=lambda index: abs(listed[index] - number))
    return weights[first + nearest]
