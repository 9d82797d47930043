"""Masks: where in a picture the loss counts. From its own alpha, or from files beside the dataset.

A mask goes the picture's way (part, resizing, crop, mirroring) and is then averaged to the size of the latent, as
kohya's trainer does it (area).
"""

from __future__ import annotations

from collections.abc import Sequence
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

MEMORY_LIMIT = 1 << 28
"""Bytes of masks kept at their pictures' size; what is beyond is read again at each visit."""


class MaskSource:
    """Masks (1, H, W) of latents in [outside, 1] by image number; `folder` None means the pictures' own alpha.

    A mask file is a picture with the image's name and .png, in a folder like the image's or in none; its red channel
    counts, and it has the picture's shape or is stretched to it. Raises DatasetError for missing files.
    """

    def __init__(self, images: Sequence[PlannedImage], folder: Path | None, *, factor: int, outside: float) -> None:
        self._images = images
        self._factor = factor
        self._outside = outside
        self._files = None if folder is None else [_find(folder, image) for image in images]
        self._kept: dict[int, Image.Image] = {}
        self._bytes = 0

    def read(self, image: int, flipped: bool, corner: Corner | None) -> Tensor:
        planned = self._images[image]
        whole = self._kept.get(image)
        if whole is None:
            whole = fit(self._open(image), planned.resized, planned.resized)
            size = whole.width * whole.height
            if self._bytes + size <= MEMORY_LIMIT:
                self._kept[image] = whole
                self._bytes += size
        shown = crop_to_bucket(whole, planned, corner)
        mask = torch.from_numpy(np.array(shown, dtype=np.float32) / 255)
        mask = mask.flip(-1) if flipped else mask
        width, height = planned.bucket
        latent = (height // self._factor, width // self._factor)
        small = F.interpolate(mask[None, None], size=latent, mode="area")[0]
        return self._outside + (1 - self._outside) * small

    def _open(self, image: int) -> Image.Image:
        planned = self._images[image]
        with opened(planned.path) as file:
            picture = upright(file)
            size = picture.size
            alpha = picture.convert("RGBA").getchannel("A") if self._files is None else None
        if alpha is None:
            assert self._files is not None
            with opened(self._files[image]) as file:
                alpha = upright(file).convert("RGB").getchannel("R").resize(size, Image.Resampling.BILINEAR)
        return alpha if planned.crop is None else cut(alpha, planned.crop)


def _find(folder: Path, image: PlannedImage) -> Path:
    name = Path(image.name).with_suffix(".png")
    for file in (folder / name, folder / name.name, folder / f"{image.path.stem}.png"):
        if file.is_file():
            return file
    raise DatasetError(
        f"no mask {name.name} for {image.name}.", where=folder, hint="Draw one (white counts), or set loss.mask = none."
    )
