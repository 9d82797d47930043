"""Latents of the images, computed once and kept in the project's cache.

One safetensors file per (base, its numbers, image content, crop, bucket, resized size), so nothing stale is ever read.
Each image is encoded alone: its latent does not depend on what else had to be computed.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from lorasmith.events import Progress, Work
from lorasmith.images.crops import open_part
from lorasmith.images.geometry import fit
from lorasmith.project import write_file
from lorasmith.recipe.plan import PlannedImage

MEMORY_LIMIT = 1 << 30
"""Bytes of latents kept mapped; what is beyond is opened from the cache at each visit."""


class Latents(Protocol):
    """Latents (C, H, W) float32 by image number, plain or mirrored; `key` names the visit."""

    def read(self, image: int, flipped: bool = False, *key: int | str) -> Tensor: ...


class LatentCache:
    """Latents (C, H, W) float32 by image number, plain and mirrored."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._kept: dict[int, dict[str, Tensor]] = {}
        self._bytes = 0

    def read(self, image: int, flipped: bool = False, *key: int | str) -> Tensor:  # noqa: ARG002 - no visit differs
        tensors = self._kept.get(image)
        if tensors is None:
            tensors = load_file(self._files[image])
            size = sum(tensor.nbytes for tensor in tensors.values())
            if self._bytes + size <= MEMORY_LIMIT:
                self._kept[image] = tensors
                self._bytes += size
        return tensors["flipped" if flipped else "plain"]


def cache_latents(
    images: Sequence[PlannedImage], hashes: Sequence[str], base: Base, folder: Path, *, flips: bool
) -> Work[LatentCache]:
    """Encode what is not cached yet below `folder`; `hashes` are the images' content hashes. Raises ImageError."""
    numbers = precision_of(base.dtype)
    place = folder / (base.content_hash[:16] + ("" if numbers == "fp32" else f"-{numbers}"))
    files = [place / _file_name(image, content) for image, content in zip(images, hashes, strict=True)]
    missing = [number for number, file in enumerate(files) if not _is_complete(file, flips)]
    for done, number in enumerate(missing, start=1):
        image = images[number]
        pixels = to_pixels(fit(open_part(image.path, image.crop), image.resized, image.bucket))
        latents = {"plain": encode_alone(base, pixels)}
        if flips:
            latents["flipped"] = encode_alone(base, pixels.flip(-1))
        write_file(files[number], save(latents))
        yield Progress("caching latents", done, len(missing))
    return LatentCache(files)


def to_pixels(image: Image.Image) -> Tensor:
    """A picture as (3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1).contiguous() / 127.5 - 1


def _file_name(image: PlannedImage, content: str) -> str:
    crop = "" if image.crop is None else "-" + "_".join(str(edge) for edge in image.crop)
    size = f"{image.bucket[0]}x{image.bucket[1]}-{image.resized[0]}x{image.resized[1]}"
    return f"{content[:32]}{crop}-{size}.safetensors"


def encode_alone(base: Base, pixels: Tensor) -> Tensor:
    """The latent (C, H, W) of one picture's pixels (3, 8H, 8W), on the CPU."""
    latent = base.encode_images(pixels.unsqueeze(0))[0]
    return latent.to("cpu", torch.float32, copy=True).contiguous()


def _is_complete(file: Path, flips: bool) -> bool:
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError):
        return False
    return "plain" in tensors and (not flips or "flipped" in tensors)
