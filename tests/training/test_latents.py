"""The latent cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.errors import ImageError
from lorasmith.events import finish
from lorasmith.training.inputs.augmentation import FreshLatents
from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.inputs.latents import LatentCache, cache_latents, to_pixels


@pytest.fixture
def images(tmp_path: Path) -> list[TrainingImage]:
    made = []
    for number, size in enumerate([(64, 64), (96, 64)]):
        path = tmp_path / f"{number}.png"
        Image.linear_gradient("L").resize(size).rotate(90 * (number + 1)).convert("RGB").save(path)
        made.append(TrainingImage(path.name, path, 1, size, size, sha256="ab"[number] * 64, caption=""))
    return made


def cache(images: list[TrainingImage], base: Base, folder: Path, *, flips: bool = False) -> tuple[LatentCache, int]:
    events: list[object] = []
    made = finish(cache_latents(images, base, folder, flips=flips), events.append)
    return made, len(events)


def test_pixels_span_minus_one_to_one() -> None:
    pixels = to_pixels(Image.new("RGB", (4, 2), (0, 255, 127)))
    assert pixels.shape == (3, 2, 4)
    assert bool((pixels[0] == -1).all())
    assert bool((pixels[1] == 1).all())


def test_latents_are_the_base_s_and_computed_once(images: list[TrainingImage], tiny_base: Base, tmp_path: Path) -> None:
    latents, computed = cache(images, tiny_base, tmp_path / "cache")
    assert computed == 2
    expected = tiny_base.encode_images(to_pixels(Image.open(images[1].path)).unsqueeze(0))[0]
    assert latents.read(images[1]).shape == (4, 8, 12)
    assert torch.equal(latents.read(images[1]), expected)
    again, computed = cache(images, tiny_base, tmp_path / "cache")
    assert computed == 0
    assert torch.equal(again.read(images[1]), expected)


def test_flips_are_latents_of_mirrored_pixels(images: list[TrainingImage], tiny_base: Base, tmp_path: Path) -> None:
    cache(images, tiny_base, tmp_path / "cache")
    latents, computed = cache(images, tiny_base, tmp_path / "cache", flips=True)
    assert computed == 2
    mirrored = to_pixels(Image.open(images[0].path)).flip(-1).unsqueeze(0)
    assert torch.equal(latents.read(images[0], flipped=True), tiny_base.encode_images(mirrored)[0])
    assert not torch.equal(latents.read(images[0]), latents.read(images[0], flipped=True))


def test_a_damaged_file_is_made_again(images: list[TrainingImage], tiny_base: Base, tmp_path: Path) -> None:
    latents, _ = cache(images, tiny_base, tmp_path / "cache")
    # a copy: what is read is mapped from the file
    expected = latents.read(images[0]).clone()
    for file in (tmp_path / "cache").rglob("a*.safetensors"):
        file.write_bytes(file.read_bytes()[:20])
    again, computed = cache(images, tiny_base, tmp_path / "cache")
    assert computed == 1
    assert torch.equal(again.read(images[0]), expected)


def test_a_crop_is_what_is_encoded_and_has_a_latent_of_its_own(
    images: list[TrainingImage], tiny_base: Base, tmp_path: Path
) -> None:
    whole = images[1]
    part = replace(whole, bucket=(64, 64), resized=(64, 64), crop=(16, 0, 80, 64))
    other = replace(part, crop=(0, 0, 64, 64))
    for planned in (part, other):
        latents, computed = cache([images[0], planned], tiny_base, tmp_path / "cache")
        assert computed == (2 if planned is part else 1)
        with Image.open(whole.path) as picture:
            expected = tiny_base.encode_images(to_pixels(picture.crop(planned.crop)).unsqueeze(0))[0]
        assert torch.equal(latents.read(planned), expected)


def test_a_latent_that_is_no_number_is_named_by_its_image(
    images: list[TrainingImage], tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = tiny_base.encode_images

    def overflow(pixels: Tensor) -> Tensor:
        latent = encode(pixels)
        return latent * float("nan") if pixels.shape[-1] == 96 else latent

    monkeypatch.setattr(tiny_base, "encode_images", overflow)
    with pytest.raises(ImageError, match=r"1\.png.*no numbers.*fp32"):
        cache(images, tiny_base, tmp_path / "cache")
    fresh = FreshLatents(tiny_base, colour=True, random_crop=False)
    assert fresh.read(images[0], False, 1).shape == (4, 8, 8)
    with pytest.raises(ImageError, match=r"1\.png"):
        fresh.read(images[1], False, 1)
    monkeypatch.undo()
    latents, computed = cache(images, tiny_base, tmp_path / "cache")
    assert computed == 1, "nothing of it was kept"
    (file,) = (tmp_path / "cache").rglob("b*.safetensors")
    save_file({"plain": torch.full((4, 8, 12), float("inf"))}, file)
    with pytest.raises(ImageError, match=r"1\.png"):
        cache(images, tiny_base, tmp_path / "cache")[0].read(images[1])
    assert latents.read(images[0]).isfinite().all()
