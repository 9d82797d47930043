"""Masks: where in a picture the loss counts. From its own alpha, or from files beside the dataset.

A mask goes the picture's way (part, resizing, crop, mirroring) and is then averaged to the size of the latent, as
kohya's trainer does it (area).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lorasmith.errors import DatasetError
from lorasmith.images.crops import cut
from lorasmith.images.geometry import fit
from lorasmith.images.opening import opened, upright
from lorasmith.recipe.plan import PlannedImage
from lorasmith.training.inputs.augmentation import Corner, crop_to_bucket
from lorasmith.training.inputs.images import TrainingImage

MEMORY_LIMIT = 1 << 28
"""Bytes of masks kept at their pictures' size; what is beyond is read again at each visit."""


class MaskSource:
    """Masks (1, H, W) of latents in [outside, 1] of images; without a mask file the pictures' own alpha.

    A mask file's red channel counts; it has the picture's shape or is stretched to it.
    """

    def __init__(self, *, factor: int, outside: float) -> None:
        self._factor = factor
        self._outside = outside
        self._kept: dict[str, Image.Image] = {}
        self._bytes = 0

    def read(self, image: TrainingImage, flipped: bool, corner: Corner | None) -> Tensor:
        whole = self._kept.get(image.name)
        if whole is None:
            whole = fit(_open(image), image.resized, image.resized)
            size = whole.width * whole.height
            if self._bytes + size <= MEMORY_LIMIT:
                self._kept[image.name] = whole
                self._bytes += size
        shown = crop_to_bucket(whole, image, corner)
        mask = torch.from_numpy(np.array(shown, dtype=np.float32) / 255)
        mask = mask.flip(-1) if flipped else mask
        width, height = image.bucket
        latent = (height // self._factor, width // self._factor)
        small = F.interpolate(mask[None, None], size=latent, mode="area")[0]
        return self._outside + (1 - self._outside) * small


def _open(image: TrainingImage) -> Image.Image:
    with opened(image.path) as file:
        picture = upright(file)
        size = picture.size
        alpha = picture.convert("RGBA").getchannel("A") if image.mask is None else None
    if image.mask is not None:
        with opened(image.mask) as file:
            alpha = upright(file).convert("RGB").getchannel("R").resize(size, Image.Resampling.BILINEAR)
    assert alpha is not None
    return alpha if image.crop is None else cut(alpha, image.crop)


def find_mask(folder: Path, image: PlannedImage) -> Path:
    """The mask of an image: a picture with its name and .png, in a folder like the image's or in none. Raises
    DatasetError where there is none."""
    name = Path(image.name).with_suffix(".png")
    for file in (folder / name, folder / name.name, folder / f"{image.path.stem}.png"):
        if file.is_file():
            return file
    raise DatasetError(
        f"no mask {name.name} for {image.name}.", where=folder, hint="Draw one (white counts), or set loss.mask = none."
    )
