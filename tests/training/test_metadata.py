"""What an adapter's header tells of its making is what was done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from lorasmith.adapters.files import read_header
from lorasmith.events import finish
from lorasmith.recipe.recipe import read_recipe
from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.loop import train
from lorasmith.training.runs.metadata import name_folders
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket.enabled = false
batch_size = 2
rank = 2
alpha = 1
clip_skip = 2
layers = ["attention"]
target_steps = 1
save_every = "9 epochs"
lr = { unet = 1e-3, text_encoder = 0 }
optimizer.name = "adamw"
"""


def header_of(project_folder: Path, base_folder: Path, **overrides: str) -> Mapping[str, str]:
    project = build_project(project_folder, RECIPE, base=str(base_folder))
    reg = project.root / "reg" / "1_hat"
    reg.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (64, 64), (80 * number, 0, 0)).save(reg / f"{number}.png")
    recipe = read_recipe(project, {key.replace("__", "."): value for key, value in overrides.items()})
    return read_header(finish(train(project, recipe)).adapter).metadata


def test_a_header_tells_class_images_numbers_and_caches(tmp_path: Path, tiny_base_folder: Path) -> None:
    plain = header_of(tmp_path / "plain", tiny_base_folder, preserve__kind='"none"')
    assert (plain["ss_num_reg_images"], plain["ss_reg_dataset_dirs"]) == ("0", "{}")
    assert (plain["ss_mixed_precision"], plain["ss_cache_latents"], plain["ss_clip_skip"]) == ("no", "True", "2")
    other = header_of(
        tmp_path / "other",
        tiny_base_folder,
        preserve__kind='"images"',
        preserve__pictures="2",
        augment__colour="true",
        precision='"bf16"',
    )
    assert other["ss_num_reg_images"] == "2"
    assert json.loads(other["ss_reg_dataset_dirs"]) == {"1_hat": {"n_repeats": 1, "img_count": 2}}
    assert (other["ss_mixed_precision"], other["ss_cache_latents"]) == ("bf16", "False")


@pytest.mark.parametrize(("family", "told"), [("sd2", "2"), ("sdxl", "None")])
def test_clip_skip_is_told_where_it_was_heeded(
    tmp_path: Path, family_folders: Mapping[str, Path], family: str, told: str
) -> None:
    header = header_of(tmp_path / "p", family_folders[family], preserve__kind='"none"')
    assert header["ss_clip_skip"] == told
    assert header.get("modelspec.encoder_layer", "None") == told


def test_a_folder_with_different_repeats_counts_as_several() -> None:
    """Readers of the header expect one number a folder."""
    images = []
    for number, (folder, repeats) in enumerate([("5_main", 5), ("5_main", 9), ("side", 2), ("side", 2), ("", 1)]):
        path = Path(f"/x/pile/{number}.png")
        images.append(
            TrainingImage(path.name, path, repeats, (8, 8), (8, 8), sha256=str(number), caption="", folder=folder)
        )
    assert name_folders(images) == ["5_main", "9_main", "side", "side", "pile"]
