"""Pictures that are new at every visit, and the same again for the same visit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lorasmith.bases.base import Base
from lorasmith.events import finish
from lorasmith.training.inputs.augmentation import FreshLatents, choose_corner, vary_colour
from lorasmith.training.inputs.class_images import encode_class_images
from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.inputs.latents import cache_latents


def planned(path: Path) -> TrainingImage:
    Image.linear_gradient("L").resize((64, 96)).convert("RGB").save(path)
    return TrainingImage(path.name, path, 1, (64, 64), (64, 96), sha256="a" * 64, caption="")


def test_corners_lie_inside_and_reach_the_edges(tmp_path: Path) -> None:
    image = planned(tmp_path / "a.png")
    corners = [choose_corner(image, visit) for visit in range(300)]
    assert {left for left, _ in corners} == {0}
    assert {top for _, top in corners} >= {0, 32}
    assert max(top for _, top in corners) == 32
    assert choose_corner(image, 5) == corners[5]


def test_colours_change_a_little_and_shapes_not() -> None:
    picture = Image.new("RGB", (8, 8), (200, 100, 50))
    seen = [np.asarray(vary_colour(picture, visit), dtype=int) for visit in range(40)]
    assert len({tuple(pixels[0, 0]) for pixels in seen}) > 10
    assert any(np.array_equal(pixels, np.asarray(picture)) for pixels in seen)
    assert all(np.ptp(pixels, axis=(0, 1)).max() == 0 for pixels in seen)
    assert max(np.abs(pixels - np.asarray(picture, dtype=int)).max() for pixels in seen) < 60


def test_without_changes_they_are_the_cached_ones(tiny_base: Base, tmp_path: Path) -> None:
    image = planned(tmp_path / "a.png")
    cached = finish(cache_latents([image], tiny_base, tmp_path / "cache", flips=True))
    fresh = FreshLatents(tiny_base, colour=False, random_crop=False)
    for flipped in (False, True):
        assert torch.equal(fresh.read(image, flipped, 1, 2), cached.read(image, flipped, 1, 2))
    cropped = FreshLatents(tiny_base, colour=False, random_crop=True)
    assert not torch.equal(cropped.read(image, False, "x"), cached.read(image))
    assert torch.equal(cropped.read(image, False, "x"), cropped.read(image, False, "x"))


def test_class_images_fill_every_bucket(tiny_base: Base, tmp_path: Path) -> None:
    folder = tmp_path / "reg" / "1_plain hat"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (64 + 32 * number, 64), "red").save(folder / f"{number}.png")
    (folder / "1.txt").write_text("blue hat, smile\n")
    sizes = [(64, 64), (32, 96)]
    prior = finish(encode_class_images(tiny_base, tmp_path / "reg", sizes, 2, 7))
    assert [tuple(prior.latents[size].shape) for size in sizes] == [(2, 4, 8, 8), (2, 4, 12, 4)]
    everything = finish(encode_class_images(tiny_base, tmp_path / "reg", sizes, 9, 7))
    assert sorted(everything.prompts[64, 64]) == ["blue hat, smile", "plain hat", "plain hat"]
