"""Pictures and files of Z-Image by every face: samplers, starts, larger ones, commands, server, merged bases."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.description import describe
from lorasmith.adapters.files import load_adapter
from lorasmith.bases.base import Base
from lorasmith.events import finish
from lorasmith.generation.grids.axes import adapter_axis, strength_axis
from lorasmith.generation.grids.drawing import draw_order, take_order
from lorasmith.generation.pictures import Picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import Hires, InitImage, PictureSpec
from tests.families.roads import Run, apart, build_project, command, draw, run
from tests.families.test_files import assert_same_effect
from tests.families.test_zimage_road import SMALL
from tests.server.running import plain_settings, running


@pytest.fixture(scope="module")
def folder(zimage_folder: Path) -> Path:
    return zimage_folder


@pytest.fixture(scope="module")
def base(zimage_base: Base) -> Base:
    return zimage_base


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Base) -> Run:
    project = build_project(tmp_path_factory.mktemp("projects") / "zbk", base.folder)
    done, _ = run(project, base, SMALL)
    return Run(project, done, ())


@pytest.fixture(scope="module")
def pipeline(trained: Run, base: Base) -> Pipeline:
    return Pipeline(base, AdapterCache([trained.done.adapter]))


def small(prompt: str, **more: object) -> PictureSpec:
    values: dict[str, object] = {"seed": 3, "steps": 3, "width": 64, "height": 64, **more}
    return PictureSpec(prompt, **values)  # type: ignore[arg-type]


def spread(picture: Picture) -> float:
    return float(np.asarray(picture.image, float).std())


@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DPM++ 2M", "Euler a", "UniPC"])
def test_every_sampler_draws_and_the_adapter_acts(pipeline: Pipeline, sampler: str) -> None:
    bare, adapted = draw(pipeline, small("zbk", sampler=sampler), small("zbk <lora:zbk:3>", sampler=sampler))
    assert spread(bare) > 1
    assert apart(bare, adapted) > 1


def test_an_even_road_ends_where_a_finer_one_does(pipeline: Pipeline) -> None:
    """The shift only spaces the steps: with many of them two ways of solving the flow meet."""
    one, other = draw(
        pipeline, small("zbk", sampler="Euler", steps=100, cfg=2), small("zbk", sampler="Heun", steps=50, cfg=2)
    )
    rough, _ = draw(pipeline, small("zbk", sampler="Euler", steps=4, cfg=2), small("zbk", steps=4))
    near = float(np.abs(np.asarray(one.image, float) - np.asarray(other.image, float)).mean())
    far = float(np.abs(np.asarray(one.image, float) - np.asarray(rough.image, float)).mean())
    assert near < far / 3


def test_pictures_over_pictures_and_larger_ones(pipeline: Pipeline) -> None:
    start, mask = Image.new("RGB", (64, 64), (230, 25, 25)), Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    half, larger = draw(
        pipeline,
        small("zbk", init=InitImage(image=start, strength=0.9, mask=mask)),
        small("zbk", hires=Hires(scale=1.5, denoising=0.6)),
    )
    right = np.asarray(half.image, float)[:, 40:].mean((0, 1))
    assert right.round().tolist() == [230, 25, 25]
    assert larger.image.size == (96, 96)


def test_a_grid(pipeline: Pipeline, tmp_path: Path) -> None:
    axes = adapter_axis([None, "zbk"]), strength_axis([0.5, 1.0], control=False)
    order = finish(take_order(small("zbk"), *axes, lambda _: pipeline, tmp_path / "grid"))
    grid = finish(draw_order(order, lambda _: pipeline))
    assert [cell.error for cell in grid.cells] == [None] * 4


def test_by_the_command_line(trained: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn"
    size = ["--size", "64x64", "--steps", 2]
    drawing = ["--base", folder, "--adapters", trained.done.adapter.parent, *size, "--out", out]
    command("generate", "(red:1.2) picture <lora:zbk> AND blue", *drawing)
    command("generate", "zbk", *drawing, "--sampler", "Euler a", "--weights", "int8")


def test_by_the_server(trained: Run, folder: Path, tmp_path: Path) -> None:
    settings = plain_settings(tmp_path, adapters=(trained.done.adapter,), bases=(str(folder),))
    asked = {"prompt": "zbk <lora:zbk>", "seed": 3, "steps": 2, "batch_size": 2, "height": 64}
    with running(settings) as (client, _):
        made = client.post("/sdapi/v1/txt2img", json=asked | {"width": 64}).json()
        wrong = client.post("/sdapi/v1/txt2img", json=asked | {"width": 72})
    assert [Image.open(io.BytesIO(base64.b64decode(each))).size for each in made["images"]] == [(64, 64)] * 2
    assert wrong.status_code == 422
    assert "72 is not a multiple of 16" in wrong.text


def test_into_the_base_and_out_of_it(trained: Run, base: Base, folder: Path, tmp_path: Path) -> None:
    file, own, inside = trained.done.adapter, load_adapter(trained.done.adapter), tmp_path / "inside"
    command("adapter", "merge", file, "--into", folder, "--out", inside)
    taken = tmp_path / "out.safetensors"
    command("adapter", "extract", inside, folder, "--out", taken, "--rank", "8")
    seen = describe(taken)
    assert seen.family == "zimage"
    assert seen.adapter.layers.keys() == own.layers.keys()
    assert_same_effect(seen.adapter, own, base, tolerance=2e-2)


def test_two_become_one_by_blocks(trained: Run, base: Base, folder: Path, tmp_path: Path) -> None:
    file, both = trained.done.adapter, tmp_path / "both.safetensors"
    command("adapter", "merge", f"{file}:B00=0.5,B=1", file, "--out", both, "--base", folder)
    merged, own = load_adapter(both), load_adapter(file)
    for name, times in (("lora_unet_layers_0_attention_to_q", 1.5), ("lora_unet_layers_1_feed_forward_w2", 2.0)):
        weight = base.module(name).get_parameter("weight")
        change, once = merged.layers[name].delta_weight(weight), own.layers[name].delta_weight(weight)
        assert float((change - times * once).norm()) < 5e-3 * float(change.norm())
