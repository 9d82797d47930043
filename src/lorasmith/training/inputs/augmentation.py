"""Pictures that are new at every visit: another part of them, slightly other colours (kohya's two augmentations).

All of it is a function of a key (seed, epoch, item, visit). Such latents cannot be cached: the VAE runs at each visit.
"""

from __future__ import annotations

import random
from collections import OrderedDict

from PIL import Image
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.diffusion.noise import key_number
from lorasmith.images.crops import open_part
from lorasmith.images.geometry import fit
from lorasmith.recipe.plan import PlannedImage
from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.inputs.latents import encode_alone, to_pixels

Corner = tuple[int, int]
_HUE = round(255 * 8 / 180)
"""The largest turn of the hue, of 255: the 8 of 180 that kohya's trainer uses."""
_GAMMA = (0.95, 1.05)
_MEMORY_LIMIT = 1 << 28
"""Bytes of resized pictures kept decoded."""


def choose_corner(image: PlannedImage, *key: int | str) -> Corner:
    """The left and top of a random crop to the bucket, out of the resized picture."""
    chance = random.Random(key_number(*key, "crop"))
    free = (image.resized[0] - image.bucket[0], image.resized[1] - image.bucket[1])
    return chance.randint(0, free[0]), chance.randint(0, free[1])


def crop_to_bucket(picture: Image.Image, image: PlannedImage, corner: Corner | None) -> Image.Image:
    """What training sees of the resized picture: at `corner`, or out of the middle."""
    if corner is None:
        return fit(picture, image.resized, image.bucket)
    left, top = corner
    return picture.crop((left, top, left + image.bucket[0], top + image.bucket[1]))


def vary_colour(picture: Image.Image, *key: int | str) -> Image.Image:
    """An RGB picture with, each at every second visit, its hue turned by up to 16 degrees and a gamma near 1."""
    chance = random.Random(key_number(*key, "colour"))
    if chance.random() < 0.5:
        turn = chance.randint(-_HUE, _HUE)
        hue, saturation, value = picture.convert("HSV").split()
        hue = hue.point([(angle + turn) % 256 for angle in range(256)])
        picture = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    if chance.random() < 0.5:
        gamma = chance.uniform(*_GAMMA)
        picture = picture.point([round(255 * (value / 255) ** gamma) for value in range(256)] * 3)
    return picture


class FreshLatents:
    """Latents (C, H, W) float32 of images, encoded anew at each visit."""

    def __init__(self, base: Base, *, colour: bool, random_crop: bool) -> None:
        self._base = base
        self._colour = colour
        self._random_crop = random_crop
        self._pictures: OrderedDict[str, Image.Image] = OrderedDict()
        self._bytes = 0

    def read(self, image: TrainingImage, flipped: bool = False, *key: int | str) -> Tensor:
        picture = self._resized(image)
        picture = crop_to_bucket(picture, image, choose_corner(image, *key) if self._random_crop else None)
        if self._colour:
            picture = vary_colour(picture, *key)
        pixels = to_pixels(picture)
        return encode_alone(self._base, pixels.flip(-1) if flipped else pixels, image.path)

    def _resized(self, image: TrainingImage) -> Image.Image:
        if image.name not in self._pictures:
            picture = fit(open_part(image.path, image.crop), image.resized, image.resized)
            self._pictures[image.name] = picture
            self._bytes += 3 * picture.width * picture.height
            while self._bytes > _MEMORY_LIMIT and len(self._pictures) > 1:
                _, old = self._pictures.popitem(last=False)
                self._bytes -= 3 * old.width * old.height
        return self._pictures[image.name]
