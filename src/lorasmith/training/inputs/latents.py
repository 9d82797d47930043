"""Latents of the images, computed once and kept in the project's cache.

One safetensors file per (base, its numbers, image content, crop, bucket, resized size), so nothing stale is ever read.
Each image is encoded alone: its latent does not depend on what else had to be computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.bases.hardware import precision_of
from lorasmith.errors import ImageError
from lorasmith.events import Progress, Work
from lorasmith.images.crops import open_part
from lorasmith.images.geometry import fit
from lorasmith.remedies import Set
from lorasmith.storage.files import write_file
from lorasmith.training.inputs.images import TrainingImage

MEMORY_LIMIT = 1 << 30
"""Bytes of latents kept mapped; what is beyond is opened from the cache at each visit."""


class Latents(Protocol):
    """Latents (C, H, W) float32 of images, plain or mirrored; `key` names the visit."""

    def read(self, image: TrainingImage, flipped: bool = False, *key: int | str) -> Tensor: ...


class LatentCache:
    """Latents (C, H, W) float32 of images, plain and mirrored; `files` by the images' names."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._kept: dict[str, dict[str, Tensor]] = {}
        self._bytes = 0

    def read(
        self,
        image: TrainingImage,
        flipped: bool = False,
        *key: int | str,  # noqa: ARG002 - no visit differs
    ) -> Tensor:
        tensors = self._kept.get(image.name)
        if tensors is None:
            tensors = load_file(self._files[image.name])
            for latent in tensors.values():
                check_latent(latent, image.path)
            size = sum(tensor.nbytes for tensor in tensors.values())
            if self._bytes + size <= MEMORY_LIMIT:
                self._kept[image.name] = tensors
                self._bytes += size
        return tensors["flipped" if flipped else "plain"]


def cache_latents(images: Sequence[TrainingImage], base: Base, folder: Path, *, flips: bool) -> Work[LatentCache]:
    """Encode what is not cached yet below `folder`. Raises ImageError."""
    numbers = precision_of(base.dtype)
    place = folder / (base.content_hash[:16] + ("" if numbers == "fp32" else f"-{numbers}"))
    files = {image.name: place / _file_name(image) for image in images}
    missing = [image for image in images if not _is_complete(files[image.name], flips)]
    for done, image in enumerate(missing, start=1):
        pixels = to_pixels(fit(open_part(image.path, image.crop), image.resized, image.bucket))
        latents = {"plain": encode_alone(base, pixels, image.path)}
        if flips:
            latents["flipped"] = encode_alone(base, pixels.flip(-1), image.path)
        write_file(files[image.name], save(latents))
        yield Progress("caching latents", done, len(missing))
    return LatentCache(files)


def to_pixels(image: Image.Image) -> Tensor:
    """A picture as (3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1).contiguous() / 127.5 - 1


def _file_name(image: TrainingImage) -> str:
    crop = "" if image.crop is None else "-" + "_".join(str(edge) for edge in image.crop)
    size = f"{image.bucket[0]}x{image.bucket[1]}-{image.resized[0]}x{image.resized[1]}"
    return f"{image.sha256[:32]}{crop}-{size}.safetensors"


def encode_alone(base: Base, pixels: Tensor, where: object) -> Tensor:
    """The latent (C, H, W) of one picture's pixels (3, 8H, 8W), on the CPU. Raises ImageError, which names `where` the
    picture is from."""
    latent = base.encode_images(pixels.unsqueeze(0))[0]
    return check_latent(latent.to("cpu", torch.float32, copy=True).contiguous(), where)


def check_latent(latent: Tensor, where: object) -> Tensor:
    """The latent itself. Raises ImageError when it holds no numbers."""
    if not bool(torch.isfinite(latent).all()):
        raise ImageError(
            "its latent holds values that are no numbers: the base's VAE cannot encode it in these numbers.",
            where=where,
            remedy=Set("precision", "fp32"),
        )
    return latent


def _is_complete(file: Path, flips: bool) -> bool:
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError):
        return False
    return "plain" in tensors and (not flips or "flipped" in tensors)
