"""Masks go the picture's way to the latent's size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from lorasmith.errors import DatasetError, LorasmithError
from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.inputs.masks import MaskSource, find_mask


def planned(path: Path) -> TrainingImage:
    return TrainingImage(f"images/{path.name}", path, 1, (32, 32), (32, 48), sha256="", caption="")


def picture(path: Path, left_alpha: int = 255) -> TrainingImage:
    """64 x 96, the left half with its own alpha."""
    image = Image.new("RGBA", (64, 96), (200, 0, 0, 255))
    image.paste((200, 0, 0, left_alpha), (0, 0, 32, 96))
    image.save(path)
    return planned(path)


def test_alpha_at_the_size_of_the_latent(tmp_path: Path) -> None:
    image, masks = picture(tmp_path / "a.png", 0), MaskSource(factor=8, outside=0.25)
    mask = masks.read(image, False, None)
    assert mask.shape == (1, 4, 4)
    torch.testing.assert_close(mask[0, 0], torch.tensor([0.25, 0.25, 1.0, 1.0]))
    torch.testing.assert_close(masks.read(image, True, None), mask.flip(-1))


def test_a_picture_without_alpha_counts_whole(tmp_path: Path) -> None:
    Image.new("RGB", (64, 96)).save(tmp_path / "a.png")
    assert bool((MaskSource(factor=8, outside=0).read(planned(tmp_path / "a.png"), False, None) == 1).all())


def test_a_random_crop_takes_the_mask_along(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    mask = Image.new("RGB", (64, 96), "black")
    mask.paste("white", (0, 0, 64, 32))
    mask.save(folder / "a.png")
    image, masks = picture(tmp_path / "a.png"), MaskSource(factor=8, outside=0)
    image = replace(image, mask=find_mask(folder, image))
    # Resized to 32 x 48 the upper 16 rows are white: two rows of the latent of a crop from the top, one from 8 below.
    assert masks.read(image, False, (0, 0)).sum() == 8
    assert masks.read(image, False, (0, 8)).sum() == 4
    assert masks.read(image, False, None).sum() == 4


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no mask a\.png"):
        find_mask(tmp_path / "masks", picture(tmp_path / "a.png"))


def test_masks_beyond_the_limit_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorasmith.training.inputs.masks.MEMORY_LIMIT", 2 * 32 * 48)  # two masks
    images = [picture(tmp_path / f"{n}.png", 100 * n) for n in range(3)]
    masks = MaskSource(factor=8, outside=0)
    first = [masks.read(image, False, None) for image in images]
    for n in range(2):
        (tmp_path / f"{n}.png").unlink()
    torch.testing.assert_close([masks.read(image, False, None) for image in images], first, rtol=0, atol=0)
    (tmp_path / "2.png").unlink()
    with pytest.raises(LorasmithError):
        masks.read(images[2], False, None)
