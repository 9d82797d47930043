"""One picture's course: from another picture, with a mask, larger, varied, tiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lorasmith.bases.base import Base, load_base
from lorasmith.diffusion.parametrisation import Flow
from lorasmith.errors import LorasmithError
from lorasmith.events import Preview, Progress, finish
from lorasmith.generation.fitting import fit_image
from lorasmith.generation.noise import first_noise, turn
from lorasmith.generation.pictures import Picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.pixels import to_image
from lorasmith.generation.prepare import count_init_steps
from lorasmith.generation.spec import Hires, InitImage, PictureSpec, Variation


@pytest.fixture(scope="module")
def tiny_base(tiny_base_folder: Path) -> Base:
    """One for all tests here: drawing leaves no trace in it."""
    return load_base(tiny_base_folder)


def draw(base: Base, *specs: PictureSpec) -> list[Picture]:
    return finish(Pipeline(base).draw(specs))


def pixels(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.asarray(image, int)


def start(size: tuple[int, int] = (64, 64)) -> Image.Image:
    ramp = np.linspace(0, 255, size[0] * size[1] * 3).reshape(size[1], size[0], 3)
    return Image.fromarray(ramp.astype(np.uint8))


def test_strength_says_how_far_a_picture_moves(tiny_base: Base) -> None:
    init = start()
    none, little, much = (
        picture.image
        for picture in draw(
            tiny_base,
            *(PictureSpec("red", steps=8, init=InitImage(init, strength=strength)) for strength in (0.0, 0.2, 1.0)),
        )
    )
    assert none.tobytes() == init.tobytes()
    z = tiny_base.encode_images(torch.from_numpy(pixels(init)).permute(2, 0, 1)[None].float() / 127.5 - 1)
    plain = tiny_base.decode_latents(z).add(1).mul(127.5)[0].permute(1, 2, 0).numpy()
    assert np.abs(pixels(little) - plain).mean() < np.abs(pixels(much) - plain).mean()
    assert [count_init_steps(20, each) for each in (0.0, 0.01, 0.5, 0.75, 1.0)] == [0, 1, 11, 16, 20]
    assert [count_init_steps(1, each) for each in (0.0, 0.5, 1.0)] == [0, 1, 1]


def test_what_the_mask_keeps_stays_to_the_pixel(tiny_base: Base) -> None:
    init, mask = start(), Image.new("L", (64, 64))
    mask.paste(255, (32, 0, 64, 64))
    (picture,) = draw(tiny_base, PictureSpec("red", steps=4, init=InitImage(init, mask, strength=0.9)))
    assert (pixels(picture.image)[:, :32] == pixels(init)[:, :32]).all()
    assert (pixels(picture.image)[:, 32:] != pixels(init)[:, 32:]).mean() > 0.5


def test_other_shapes_are_fitted() -> None:
    wide = start((120, 60))
    for resize in ("crop", "stretch", "fill"):
        assert fit_image(wide, (64, 96), resize).size == (64, 96)
    assert (pixels(fit_image(wide, (60, 60), "crop")) == pixels(wide)[:, 30:90]).all()
    filled = pixels(fit_image(wide, (120, 80), "fill"))
    assert (filled[10:70] == pixels(wide)).all()
    assert (filled[:10] == filled[10]).all()
    assert (filled[70:] == filled[69]).all()
    tall = pixels(fit_image(start((60, 120)), (80, 120), "fill"))
    assert (tall[:, :10] == tall[:, 10:11]).all()
    assert fit_image(wide, (120, 60), "crop") is wide


@pytest.mark.parametrize("upscaler", ["Latent", "Latent (bicubic antialiased)", "Latent (nearest-exact)", "Lanczos"])
def test_a_second_pass_is_larger_and_keeps_what_it_shall(tiny_base: Base, upscaler: str) -> None:
    seen: list[object] = []
    specs = [
        PictureSpec("red", seed=3, steps=4, hires=Hires(1.5, steps=2, denoising=denoising, upscaler=upscaler))
        for denoising in (0.0, 0.6)
    ]
    kept, redrawn = finish(Pipeline(tiny_base).draw(specs), seen.append)
    assert kept.image.size == redrawn.image.size == (96, 96)
    (first,) = draw(tiny_base, PictureSpec("red", seed=3, steps=4))
    if upscaler == "Lanczos":
        assert kept.image.tobytes() == first.image.resize((96, 96), Image.Resampling.LANCZOS).tobytes()
    assert np.abs(pixels(kept.image) - pixels(redrawn.image)).max() > 3
    assert [event.total for event in seen if isinstance(event, Progress)][-1] == 4 + (4 + 2)


def test_the_second_pass_has_its_own_words_and_shape(tiny_base: Base) -> None:
    own, same, other, empty = draw(
        tiny_base,
        *(
            PictureSpec("red", steps=2, seed=3, hires=Hires(width=72, height=80, denoising=0.9, prompt=prompt))
            for prompt in (None, "red", "blue hat", "")
        ),
    )
    assert own.image.size == (72, 80)
    assert own.image.tobytes() == same.image.tobytes()
    assert own.image.tobytes() != other.image.tobytes()
    assert other.image.tobytes() != empty.image.tobytes()


def test_variations_lie_between_two_seeds(tiny_base: Base) -> None:
    (a, _), (b, _) = first_noise((4, 8, 8), 1), first_noise((4, 8, 8), 2)
    torch.testing.assert_close(first_noise((4, 8, 8), 1, Variation(2, 0.0))[0], a)
    torch.testing.assert_close(first_noise((4, 8, 8), 1, Variation(2, 1.0))[0], b, atol=1e-5, rtol=1e-5)
    between = first_noise((4, 32, 32), 1, Variation(2, 0.5))[0]
    assert float(between.std()) == pytest.approx(1.0, abs=0.1)
    torch.testing.assert_close(turn(a[0], a[0], 0.3), a[0])
    plain, slight, same = draw(
        tiny_base,
        *(PictureSpec("red", seed=1, steps=2, variation=each) for each in (None, Variation(2, 0.3), Variation(2, 0.0))),
    )
    assert plain.image.tobytes() == same.image.tobytes() != slight.image.tobytes()


def test_tiles_have_no_seam(tiny_base: Base) -> None:
    """A tiled picture whose noise is turned round is the tiled picture turned round."""
    pipeline = Pipeline(tiny_base)
    (tiled,) = finish(pipeline.draw([PictureSpec("red", seed=2, steps=3, tiling=True)]))
    (plain,) = finish(pipeline.draw([PictureSpec("red", seed=2, steps=3)]))
    assert tiled.image.tobytes() != plain.image.tobytes()

    def rolled(*words: object) -> tuple[torch.Tensor, torch.Generator]:
        noise, generator = first_noise(*words)  # type: ignore[arg-type]
        return noise.roll(4, dims=-1), generator

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lorasmith.generation.denoising.first_noise", rolled)
        (moved,) = finish(pipeline.draw([PictureSpec("red", seed=2, steps=3, tiling=True)]))
    back = np.roll(pixels(moved.image), -32, axis=1)
    assert np.abs(back - pixels(tiled.image)).max() <= 1


def test_previews_come_on_the_way(tiny_base: Base) -> None:
    seen: list[object] = []
    pictures = finish(
        Pipeline(tiny_base).draw(
            [PictureSpec("red", seed=1, steps=4), PictureSpec("blue", seed=2, steps=4)], previews=2
        ),
        seen.append,
    )
    previews = [event for event in seen if isinstance(event, Preview)]
    assert [(each.index, each.step, each.steps) for each in previews] == [(0, 2, 4), (1, 2, 4), (0, 4, 4), (1, 4, 4)]
    assert previews[0].as_json() == {"event": "preview", "index": 0, "step": 2, "steps": 4, "size": [64, 64]}
    # The small autoencoder decodes: the last preview is nearly the picture.
    assert np.abs(pixels(previews[2].image) - pixels(pictures[0].image)).mean() < 20


def test_previews_of_a_large_autoencoder_are_colours(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    from lorasmith.generation import previews

    monkeypatch.setattr(previews, "SMALL", 0)
    previewer = previews.Previewer(tiny_base)
    z = torch.nn.functional.interpolate(torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(1)), (16, 16))
    image = previewer.draw(z)
    assert image.size == (128, 128)
    true = pixels(
        Image.fromarray(pixels(_decoded(tiny_base, z)).astype(np.uint8)).resize((16, 16), Image.Resampling.BOX)
    )
    near = pixels(image.resize((16, 16), Image.Resampling.BOX))
    assert np.corrcoef(true.ravel(), near.ravel())[0, 1] > 0.5


def _decoded(base: Base, z: torch.Tensor) -> Image.Image:
    from lorasmith.generation.pixels import to_image

    return to_image(base.decode_latents(z))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"init": InitImage(start(), strength=1.5)}, "init.strength: 1.5 is not between 0 and 1"),
        ({"init": InitImage(start(), Image.new("L", (8, 8)))}, "the mask is 8x8, its picture 64x64"),
        ({"init": InitImage(start(), resize="squeeze")}, 'init.resize: "squeeze" is unknown'),  # type: ignore[arg-type]
        ({"init": InitImage(start()), "hires": Hires()}, "at once"),
        ({"hires": Hires(0.5)}, "hires.scale: 0.5 is not between 1 and 8"),
        ({"hires": Hires(width=32)}, "hires.width: 32 is not between 64"),
        ({"hires": Hires(upscaler="Latnet")}, 'Did you mean "Latent"'),
        ({"hires": Hires(denoising=2.0)}, "hires.denoising: 2 is not between"),
        ({"variation": Variation(-1, 0.5)}, "variation.seed: -1"),
        ({"schedule": "Karass"}, 'Did you mean "Karras"'),
        ({"eta": 30.0}, "eta: 30 is not between 0 and 10"),
    ],
)
def test_wrong_values(tiny_base: Base, values: dict[str, object], message: str) -> None:
    with pytest.raises(LorasmithError, match=message):
        Pipeline(tiny_base).check(PictureSpec("a", **values))  # type: ignore[arg-type]


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M", "Heun", "DPM++ SDE", "DDIM"])
def test_a_flow_s_velocity_is_followed(tiny_base: Base, sampler: str) -> None:
    """A denoiser that knows the picture, n - x_0 = (x_t - x_0) / t: all noise leads to it."""
    base = replace(tiny_base, parametrisation=Flow(3.0))
    x_0 = base.encode_images(torch.zeros(1, 3, 64, 64))
    told: list[float] = []

    def denoise(x_t: Tensor, t: Tensor, *_: object) -> Tensor:
        told.extend(t.tolist())
        return (x_t - x_0) / t.view(-1, 1, 1, 1).float()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Base, "denoise", lambda _self, *more: denoise(*more))
        spec = PictureSpec("red", seed=2, steps=5, sampler=sampler, schedule="Simple")
        (drawn,) = draw(base, spec)
        assert max(told) == 1.0
        told.clear()
        (again,) = draw(base, replace(spec, init=InitImage(start(), strength=0.4)))
        assert max(told) == pytest.approx(3 * 0.6 / (1 + 2 * 0.6))  # the last three of five steps, shifted
    known = np.asarray(to_image(base.decode_latents(x_0)), int)
    for picture in (drawn, again):
        assert np.abs(pixels(picture.image) - known).max() <= 2
