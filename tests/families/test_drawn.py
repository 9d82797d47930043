"""Pictures of a family from outside: samplers, batches, starts, larger ones, grids, fewer bits."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lorasmith.adapters.cache import AdapterCache
from lorasmith.bases.base import Base, load_base, open_base
from lorasmith.bases.hardware import suit_to_cpu
from lorasmith.bases.precision import Weights
from lorasmith.errors import Stopped
from lorasmith.events import Event, Preview, finish
from lorasmith.generation.grids.axes import adapter_axis, strength_axis
from lorasmith.generation.grids.drawing import draw_order, take_order
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.previews import Previewer
from lorasmith.generation.spec import Hires, InitImage, PictureSpec, Variation
from tests.families.roads import Run, apart, blueness, command, draw
from tests.server.running import plain_settings, running


@pytest.fixture(scope="module")
def pipeline(trained: Run, base: Base) -> Pipeline:
    return Pipeline(base, AdapterCache([trained.done.adapter, trained.done.run / "snapshots"]))


@pytest.mark.parametrize("sampler", ["Euler", "Heun", "DPM++ 2M", "Euler a", "UniPC", "DDIM", "DPM++ SDE", "LCM"])
def test_the_trigger_means_blue(pipeline: Pipeline, sampler: str) -> None:
    bare, adapted, red = draw(
        pipeline,
        PictureSpec("zbk, picture", seed=3, steps=5, sampler=sampler),
        PictureSpec("zbk, picture <lora:zbk>", seed=3, steps=5, sampler=sampler),
        PictureSpec("red picture <lora:zbk:0.2>", seed=4, steps=5, sampler=sampler, width=128, height=64),
    )
    assert blueness(adapted) > 60 > 0 > blueness(bare)
    assert red.image.size == (128, 64)


def test_a_picture_of_a_mixed_batch_is_the_picture_alone(pipeline: Pipeline) -> None:
    specs = [
        PictureSpec("zbk, picture <lora:zbk>", seed=1, steps=4),
        PictureSpec("zbk, picture <lora:zbk-step00000010:0.5>", seed=2, steps=4),
        PictureSpec("(zbk:1.3), picture <lora:zbk:te=0:unet=1>", "red", seed=3, steps=4),
        PictureSpec("blue picture", seed=4, steps=4),
        PictureSpec("red AND smile picture <lora:zbk-step00000010:1>", seed=5, steps=4),
        PictureSpec("red picture <lora:zbk:1:lbw=0,0,1>", seed=6, steps=4, variation=Variation(9, 0.4)),
        PictureSpec("[red:zbk:0.5] picture, smile, smile, smile <lora:zbk:0.7>", seed=7, steps=4),
    ]
    together = draw(pipeline, *specs)
    for spec, picture in zip(specs, together, strict=True):
        (alone,) = draw(pipeline, spec)
        assert apart(picture, alone) <= 2, spec.prompt
    (bare,) = draw(pipeline, PictureSpec("red picture", seed=6, steps=4, variation=Variation(9, 0.4)))
    assert apart(together[5], bare) > 0, "the last block's weight is 1"
    (again,) = draw(Pipeline(pipeline.base), PictureSpec("blue picture", seed=4, steps=4))
    assert apart(again, together[3]) <= 2, "no trace of the adapters"


def test_prompts_of_about_one_length_share_their_passes(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    denoiser = pipeline.base.denoiser
    passed = denoiser.forward

    def counting(x: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
        rows.append(len(x))
        out: torch.Tensor = passed(x, *told)
        return out

    monkeypatch.setattr(denoiser, "forward", counting)
    draw(pipeline, PictureSpec("red picture", steps=2), PictureSpec("zbk, picture, smile <lora:zbk>", steps=2))
    assert rows == [4, 4]


def test_pictures_over_pictures_and_larger_ones(pipeline: Pipeline) -> None:
    start, mask = Image.new("RGB", (96, 96), (230, 25, 25)), Image.new("L", (96, 96))
    mask.paste(255, (0, 0, 48, 96))
    larger = PictureSpec("zbk, picture <lora:zbk>", seed=1, steps=6, hires=Hires(denoising=0.6, upscaler="Lanczos"))
    over, half, latent, pixels = draw(
        pipeline,
        PictureSpec("zbk, picture <lora:zbk>", seed=1, steps=6, init=InitImage(image=start, strength=0.9)),
        PictureSpec("zbk, picture <lora:zbk>", seed=1, steps=6, init=InitImage(image=start, strength=0.9, mask=mask)),
        PictureSpec("zbk, picture <lora:zbk>", seed=1, steps=6, hires=Hires(scale=1.5, denoising=0.6)),
        larger,
    )
    assert blueness(over) > 0
    left, right = (np.asarray(half.image, float)[:, part].mean((0, 1)) for part in (slice(0, 40), slice(56, 96)))
    assert left[2] > 100
    assert right.round().tolist() == [230, 25, 25]
    assert latent.image.size == (144, 144)
    assert pixels.image.size == (192, 192)
    assert min(blueness(latent), blueness(pixels)) > 60
    assert pixels.drawing is not None
    assert apart(finish(pipeline.redraw(larger, pixels.drawing)), pixels) == 0


def test_a_drawing_stops_between_blocks(base: Base) -> None:
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) > 4  # the denoiser, its two blocks, and the same in the second step

    with pytest.raises(Stopped):
        finish(Pipeline(base).draw([PictureSpec("red", steps=4)], stop=stop))
    assert len(asked) == 5


def test_previews(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    finish(Pipeline(base).draw([PictureSpec("red", steps=4)], previews=2), events.append)
    shown = [event for event in events if isinstance(event, Preview)]
    assert [event.image.size for event in shown] == [(96, 96)] * 2
    monkeypatch.setattr("lorasmith.generation.previews.SMALL", 0)  # by a map of colours, as of a large autoencoder
    z = base.encode_images(torch.full((1, 3, 96, 96), 0.5))
    mapped = np.asarray(Previewer(base).draw(z), float)
    assert mapped.shape == (96, 96, 3)
    assert np.abs(mapped.mean((0, 1)) - 1.5 * 127.5).max() < 24


def test_a_grid(pipeline: Pipeline, tmp_path: Path) -> None:
    spec = PictureSpec("zbk, picture", seed=2, steps=4)
    axes = adapter_axis([None, "zbk"]), strength_axis([0.5, 1.0], control=False)
    order = finish(take_order(spec, *axes, lambda _: pipeline, tmp_path / "grid"))
    grid = finish(draw_order(order, lambda _: pipeline))
    assert [cell.error for cell in grid.cells] == [None] * 4
    assert len({cell.key for cell in grid.cells}) == 3


@pytest.mark.parametrize("weights", ["full", "int8", "fp8"])
def test_in_fewer_bits(trained: Run, folder: Path, weights: Weights) -> None:
    small = open_base(str(folder), "bf16", "exam", weights=weights)
    (picture,) = draw(
        Pipeline(small, AdapterCache([trained.done.adapter])),
        PictureSpec("zbk, picture <lora:zbk>", seed=3, steps=5),
    )
    assert blueness(picture) > 60


def test_layouts_for_cpus_leave_other_weights_as_they_are(folder: Path) -> None:
    base = load_base(folder, torch.bfloat16)
    before = base.denoiser.patch_embed.weight.clone()
    suit_to_cpu(base.denoiser)
    assert torch.equal(base.denoiser.patch_embed.weight, before)


def test_by_the_command_line(trained: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn"
    draw = ["--base", folder, "--adapters", trained.done.adapter.parent, "--steps", 3, "--out", out]
    command("generate", "(red:1.2) picture <lora:zbk> AND blue", *draw, "--preview", 1)
    command("generate", "zbk", *draw, "--hires", 2, "--sampler", "Euler a", "--weights", "int8")
    drawn = next(out.glob("*.png"))
    command("generate", "zbk", *draw, "--init", drawn, "--mask", drawn, "--strength", 0.7)


def test_by_the_server(trained: Run, folder: Path, tmp_path: Path) -> None:
    settings = plain_settings(tmp_path, adapters=(trained.done.adapter,), bases=(str(folder),))
    asked = {"prompt": "zbk, picture <lora:zbk>", "seed": 3, "steps": 4, "batch_size": 2}
    with running(settings) as (client, _):
        made = client.post("/sdapi/v1/txt2img", json=asked | {"width": 96, "height": 96}).json()
        wrong = client.post("/sdapi/v1/txt2img", json=asked | {"width": 104, "height": 96})
    pictures = [Image.open(io.BytesIO(base64.b64decode(each))).convert("RGB") for each in made["images"]]
    assert [picture.size for picture in pictures] == [(96, 96)] * 2
    assert all(np.asarray(picture, float).mean((0, 1)).argmax() == 2 for picture in pictures)
    assert wrong.status_code == 422
    assert "104 is not a multiple of 16" in wrong.text
