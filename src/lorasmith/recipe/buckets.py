"""Buckets: which size each image is trained at. Matches kohya-ss/sd-scripts exactly, float for float.

An image is resized to cover its bucket and centre-cropped to it, so `resized` >= `bucket` on both sides.
Sizes are (width, height) in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from lorasmith.errors import DatasetError, RecipeError

Size = tuple[int, int]


@dataclass(frozen=True)
class Placement:
    """Where one image goes: its bucket, and the size it is resized to before the centre crop."""

    bucket: Size
    resized: Size

    @property
    def cropped(self) -> float:
        """The share (0..1) of the resized picture that the crop cuts away."""
        return 1 - (self.bucket[0] * self.bucket[1]) / (self.resized[0] * self.resized[1])


@dataclass(frozen=True)
class BucketRules:
    """How sizes are chosen. `smallest` and `largest` bound the sides; with `no_upscale` they are ignored."""

    resolution: Size
    enabled: bool = True
    smallest: int = 256
    largest: int = 1024
    step: int = 64
    no_upscale: bool = False

    @cached_property
    def sizes(self) -> tuple[Size, ...]:
        """All bucket sizes, sorted; empty with `no_upscale`, where sizes follow the images."""
        if not self.enabled:
            return (self.resolution,)
        if self.no_upscale:
            return ()
        smallest = self.smallest - self.smallest % self.step
        largest = math.ceil(self.largest / self.step) * self.step
        sizes = bucket_sizes(self.resolution, smallest, largest, self.step)
        # NOTE: the square of the area is in the list even if it is smaller than the step allows.
        return tuple(size for size in sizes if min(size) > 0)

    def place(self, image: Size) -> Placement:
        """The bucket and resized size of an image. Raises DatasetError if nothing of it would be left."""
        if not self.enabled:
            return cover(image, self.resolution)
        if self.no_upscale:
            return _place_without_upscaling(image, self.resolution[0] * self.resolution[1], self.step)
        if not self.sizes:
            raise RecipeError(
                f"no bucket fits resolution {self.resolution[0]}x{self.resolution[1]} with sides of "
                f"{self.smallest} to {self.largest} in steps of {self.step}.",
                hint="Lower bucket.step or bucket.min.",
            )
        if image in self.sizes:
            return cover(image, image)
        ratio = image[0] / image[1]
        # Linear, not logarithmic, and the first of equals: as kohya's numpy argmin.
        return cover(image, min(self.sizes, key=lambda size: abs(size[0] / size[1] - ratio)))


def bucket_sizes(resolution: Size, smallest: int, largest: int, step: int) -> list[Size]:
    """Sizes of at most resolution's area with sides in [smallest, largest], multiples of `step`, sorted."""
    area = resolution[0] * resolution[1]
    square = int(math.sqrt(area) // step) * step
    sizes = {(square, square)}
    for width in range(smallest, largest + 1, step):
        if width == 0:
            continue
        height = min(largest, area // width // step * step)
        if height >= smallest:
            sizes |= {(width, height), (height, width)}
    return sorted(sizes)


def cover(image: Size, bucket: Size) -> Placement:
    """Scale the image so that it just covers the bucket; the longer side sticks out."""
    wider = image[0] / image[1] > bucket[0] / bucket[1]
    scale = bucket[1] / image[1] if wider else bucket[0] / image[0]
    return Placement(bucket, (int(image[0] * scale + 0.5), int(image[1] * scale + 0.5)))


def _place_without_upscaling(image: Size, area: int, step: int) -> Placement:
    width, height = image
    resized = image
    if width * height > area:
        ratio = width / height
        free_width = math.sqrt(area * ratio)
        free_height = area / free_width
        by_width = _round_down(free_width, step)
        by_width_height = _round_down(by_width / ratio, step)
        by_height = _round_down(free_height, step)
        by_height_width = _round_down(by_height * ratio, step)
        if not (by_width_height and by_height and by_width and by_height_width):
            raise DatasetError(
                f"a {width}x{height} image is too narrow for buckets in steps of {step} pixels (bucket.step)."
            )
        if abs(by_width / by_width_height - ratio) < abs(by_height_width / by_height - ratio):
            resized = (by_width, int(by_width / ratio + 0.5))
        else:
            resized = (int(by_height * ratio + 0.5), by_height)
    bucket = (resized[0] - resized[0] % step, resized[1] - resized[1] % step)
    if not (bucket[0] and bucket[1]):
        raise DatasetError(
            f"a {width}x{height} image is smaller than one bucket step of {step} pixels.",
            hint="Remove it, or train with bucket.no_upscale = false.",
        )
    return Placement(bucket, resized)


def _round_down(x: float, step: int) -> int:
    whole = int(x + 0.5)
    return whole - whole % step
