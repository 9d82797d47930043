"""Altered copies of a picture (D7, D14): each operation has its parameters drawn by a seed, and makes the same pixels
from the same parameters."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from PIL import Image, ImageEnhance, ImageOps

Operation = Literal["crop", "aspect", "rotate", "flip", "overlay", "grayscale", "enhance", "quality"]
Parameters = Mapping[str, Any]
Size = tuple[int, int]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "orange": (240, 140, 30),
    "yellow": (240, 220, 50),
    "green": (50, 170, 70),
    "blue": (50, 90, 220),
    "purple": (140, 60, 190),
    "pink": (240, 130, 180),
    "brown": (130, 85, 45),
}
"""What overlays are made of; their names are those of the colour themes in captions."""

_RATIOS = ((1, 1), (2, 3), (3, 2), (3, 4), (4, 3), (9, 16), (16, 9))
_LEAST_CHANGE = 0.12


@dataclass(frozen=True)
class Altered:
    """A changed copy, and the parameters that make it again."""

    image: Image.Image
    operation: Operation
    parameters: Parameters


def alter(image: Image.Image, operation: Operation, seed: int) -> Altered:
    """A changed copy of an RGB picture; its parameters are a function of (operation, size, seed)."""
    parameters = choose_parameters(operation, image.size, seed)
    return Altered(apply(image, operation, parameters), operation, parameters)


def choose_parameters(operation: Operation, size: Size, seed: int) -> Parameters:
    """JSON-ready parameters of an operation on a picture of `size` (width, height)."""
    return _CHOOSERS[operation](random.Random(f"{operation} {size[0]}x{size[1]} {seed}"), size)


def apply(image: Image.Image, operation: Operation, parameters: Parameters) -> Image.Image:
    """Do the operation on an RGB picture.

    crop, aspect: cut `box` out. rotate: turn by `degrees` counter-clockwise and cut the largest upright box without
    empty corners. flip: the mirror image. overlay: `strength` (0..1) of `colour` over it. grayscale: without colours.
    enhance: `saturation` and `contrast` times as much. quality: at 1 / `shrink` of its size, saved as JPEG of
    `quality`, and enlarged again.
    """
    return _APPLIERS[operation](image, parameters)


def _crop_choice(draw: random.Random, size: Size) -> Parameters:
    share = draw.uniform(0.72, 0.88)
    width, height = (max(1, round(side * share)) for side in size)
    left, top = draw.randint(0, size[0] - width), draw.randint(0, size[1] - height)
    return {"box": [left, top, left + width, top + height]}


def _aspect_choice(draw: random.Random, size: Size) -> Parameters:
    """A ratio clearly unlike the picture's own. Of what goes, a third goes at the top: heads are there."""
    own = size[0] / size[1]
    different = [ratio for ratio in _RATIOS if abs(math.log(ratio[0] / ratio[1] / own)) > _LEAST_CHANGE]
    near = sorted(different, key=lambda ratio: abs(math.log(ratio[0] / ratio[1] / own)))
    across, down = draw.choice(near[:3])
    unit = min(size[0] / across, size[1] / down)
    width, height = max(1, round(across * unit)), max(1, round(down * unit))
    left, top = (size[0] - width) // 2, (size[1] - height) // 3
    return {"ratio": f"{across}:{down}", "box": [left, top, left + width, top + height]}


def _rotate_choice(draw: random.Random, _: Size) -> Parameters:
    return {"degrees": round(draw.uniform(7, 16) * draw.choice((-1, 1)), 1)}


def _overlay_choice(draw: random.Random, _: Size) -> Parameters:
    return {"colour": draw.choice(list(COLOURS)), "strength": round(draw.uniform(0.18, 0.34), 2)}


def _enhance_choice(draw: random.Random, _: Size) -> Parameters:
    return {"saturation": round(draw.uniform(1.25, 1.6), 2), "contrast": round(draw.uniform(1.08, 1.25), 2)}


def _quality_choice(draw: random.Random, _: Size) -> Parameters:
    return {"shrink": round(draw.uniform(1.6, 2.4), 1), "quality": draw.randint(22, 40)}


_CHOOSERS: Mapping[Operation, Callable[[random.Random, Size], Parameters]] = {
    "crop": _crop_choice,
    "aspect": _aspect_choice,
    "rotate": _rotate_choice,
    "flip": lambda _draw, _size: {},
    "overlay": _overlay_choice,
    "grayscale": lambda _draw, _size: {},
    "enhance": _enhance_choice,
    "quality": _quality_choice,
}


def _cut(image: Image.Image, parameters: Parameters) -> Image.Image:
    left, top, right, bottom = parameters["box"]
    return image.crop((left, top, right, bottom))


def _rotate(image: Image.Image, parameters: Parameters) -> Image.Image:
    degrees = parameters["degrees"]
    width, height = inscribed_size(image.size, degrees)
    turned = image.rotate(degrees, resample=Image.Resampling.BICUBIC)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return turned.crop((left, top, left + width, top + height))


def inscribed_size(size: Size, degrees: float) -> Size:
    """(width, height) of the largest upright box, in the picture's own shape, inside the turned picture."""
    width, height = size
    sine, cosine = abs(math.sin(math.radians(degrees))), abs(math.cos(math.radians(degrees)))
    # A corner (w/2, h/2) of the scaled box, turned back, must stay inside; both of its coordinates bound the scale.
    scale = min(width / (width * cosine + height * sine), height / (width * sine + height * cosine))
    return max(1, math.floor(width * scale) - 2), max(1, math.floor(height * scale) - 2)


def _overlay(image: Image.Image, parameters: Parameters) -> Image.Image:
    return Image.blend(image, Image.new("RGB", image.size, COLOURS[parameters["colour"]]), parameters["strength"])


def _enhance(image: Image.Image, parameters: Parameters) -> Image.Image:
    coloured = ImageEnhance.Color(image).enhance(parameters["saturation"])
    return ImageEnhance.Contrast(coloured).enhance(parameters["contrast"])


def _lower_quality(image: Image.Image, parameters: Parameters) -> Image.Image:
    small = image.resize(
        (max(1, round(image.width / parameters["shrink"])), max(1, round(image.height / parameters["shrink"]))),
        Image.Resampling.BOX,
    )
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=parameters["quality"])
    with Image.open(io.BytesIO(buffer.getvalue())) as spoiled:
        return spoiled.convert("RGB").resize(image.size, Image.Resampling.BICUBIC)


_APPLIERS: Mapping[Operation, Callable[[Image.Image, Parameters], Image.Image]] = {
    "crop": _cut,
    "aspect": _cut,
    "rotate": _rotate,
    "flip": lambda image, _: ImageOps.mirror(image),
    "overlay": _overlay,
    "grayscale": lambda image, _: image.convert("L").convert("RGB"),
    "enhance": _enhance,
    "quality": _lower_quality,
}
