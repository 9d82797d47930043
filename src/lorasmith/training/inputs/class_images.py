"""Class images: other pictures of the subject's kind, learnt beside it so that the kind stays as it was.

Ruiz et al. 2023 (DreamBooth), eq. 2: the loss on them is added with a weight of its own. Kohya calls them
regularisation images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.bases.framing import Framing, frame_in_bucket
from lorasmith.dataset.encodings import NotTextError, decode
from lorasmith.dataset.folders import class_words
from lorasmith.diffusion.noise import key_number
from lorasmith.errors import DatasetError
from lorasmith.events import Note, Progress, Work
from lorasmith.images.geometry import fit
from lorasmith.images.opening import is_image_name, open_rgb
from lorasmith.recipe.buckets import Size, cover
from lorasmith.tags.refusal import refuse, refuse_images
from lorasmith.training.inputs.latents import encode_alone, to_pixels
from lorasmith.training.inputs.preservation import PriorPictures


def encode_class_images(
    base: Base, folder: Path, sizes: Sequence[Size], count: int, seed: int, beside: Iterable[str] = ()
) -> Work[PriorPictures]:
    """Latents and captions of at most `count` images of `folder` for every size, chosen by `seed`.

    The caption is the first line of the .txt beside the image, or the words of its `N_class words` folder; `beside` are
    the captions that are learnt together with them. Raises DatasetError for none, ImageError, RefusedError.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and is_image_name(path))
    if not files:
        raise DatasetError(
            "there are no class images.", where=folder, hint="Put some there, or set preserve.kind = differential."
        )
    captions: list[str] = []
    for file in files:
        captions.append((yield from _caption(file)))
    refuse_images({file.name: [caption] for file, caption in zip(files, captions, strict=True)}, (), folder)
    refuse((*captions, *beside), folder)
    latents: dict[Size, Tensor] = {}
    prompts: dict[Size, tuple[str, ...]] = {}
    framings: dict[Size, tuple[Framing, ...]] = {}
    shown: set[Path] = set()
    total = len(sizes) * min(count, len(files))
    for size in sizes:
        order = sorted(range(len(files)), key=lambda number: key_number(seed, *size, files[number].name, "class"))
        rows, framed = [], []
        for number in order[:count]:
            picture = open_rgb(files[number])
            pixels = to_pixels(fit(picture, cover(picture.size, size).resized, size))
            rows.append(encode_alone(base, pixels, files[number]))
            shown.add(files[number])
            framed.append(frame_in_bucket(picture.size, size))
            yield Progress("class images", len(latents) * min(count, len(files)) + len(rows), total)
        latents[size] = torch.stack(rows)
        prompts[size] = tuple(captions[number] for number in order[:count])
        framings[size] = tuple(framed)
    return PriorPictures(latents, prompts, framings, Counter(file.parent.name for file in sorted(shown)))


def _caption(file: Path) -> Work[str]:
    sidecar = file.with_suffix(".txt")
    if sidecar.is_file():
        try:
            lines = decode(sidecar.read_bytes()).strip().splitlines()
            return lines[0].strip() if lines else ""
        except NotTextError as fault:
            yield Note(f"{file.name}: the caption of this class image is {fault}; its folder stands in.", "warning")
    return class_words(file.parent.name)
