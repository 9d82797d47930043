"""Z-Image against diffusers' own modules and pipeline, on a model of its true layout and small widths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families.zimage import ZIMAGE
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.counting import count_tokens
from lorasmith.bases.text.options import TextOptions
from lorasmith.diffusion.noise import key_generator
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from tests.families.roads import draw
from tests.families.zimage_models import build_zimage, load_pipeline

LONG = "a girl, smile, blue hair, red background, standing; " * 3
TEXTS = ("a girl, (smile:1.2), blue hair", "zbk", "", LONG)


@pytest.fixture(scope="module")
def folder(zimage_folder: Path) -> Path:
    return zimage_folder


@pytest.fixture(scope="module")
def base(zimage_base: Base) -> Base:
    return zimage_base


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Any:
    return load_pipeline(folder)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def own_rows(context: Context) -> list[Tensor]:
    """The vectors that count, a tensor a row."""
    assert context.mask is not None
    return [row[mask] for row, mask in zip(context.hidden, context.mask, strict=True)]


@pytest.mark.parametrize("texts", [TEXTS, *([text] for text in (*TEXTS, LONG * 12))])
@torch.no_grad()
def test_texts_are_those_of_diffusers(base: Base, pipeline: Any, texts: tuple[str, ...]) -> None:
    theirs, _ = pipeline.encode_prompt(list(texts), do_classifier_free_guidance=False)
    ours = base.encode(list(texts))
    assert ours.length % 32 == 0
    for mine, own in zip(own_rows(ours), theirs, strict=True):
        assert mine.shape == own.shape
        close(mine, own)


def test_brackets_are_letters_and_what_is_too_long_is_cut(base: Base, pipeline: Any) -> None:
    reader, drawing = base.prompt_encoder, TextOptions("a1111", emphasis="original")
    said = pipeline.tokenizer.decode(reader.tokenize([r"(blue:1.2) hair \(x\)"], drawing)[0][0].ids)
    assert said == "<|im_start|>user\n(blue:1.2) hair (x)<|im_end|>\n<|im_start|>assistant\n"
    assert not reader.is_cut(LONG, drawing)
    assert reader.is_cut(LONG * 12, drawing)
    assert len(reader.tokenize([LONG * 12], drawing)[0][0].ids) == 512


@pytest.mark.parametrize("size", [(8, 12), (6, 10)])
@torch.no_grad()
def test_a_pass_is_that_of_diffusers(base: Base, pipeline: Any, size: tuple[int, int]) -> None:
    """Rows with texts of several lengths, and pictures whose patches are no multiple of 32; t runs the other way."""
    x_t, t = torch.randn(4, 16, *size, generator=key_generator(0)), torch.tensor([0.25, 0.9, 1.0, 0.01])
    context = base.encode(list(TEXTS))
    theirs = pipeline.transformer(
        list(x_t.unsqueeze(2).unbind()), (1000 - 1000 * t) / 1000, own_rows(context), return_dict=False
    )[0]
    ours = base.denoise(x_t, t, context)
    close(ours, -torch.stack(theirs).squeeze(2))
    for row in range(4):
        close(base.denoise(x_t[row : row + 1], t[row : row + 1], context[row : row + 1]), ours[row : row + 1])


@torch.no_grad()
def test_latents_are_those_of_diffusers(base: Base, pipeline: Any) -> None:
    pixels = torch.rand(2, 3, 64, 96, generator=key_generator(0)) * 2 - 1
    z = base.encode_images(pixels)
    assert z.shape == (2, *base.latent_shape((96, 64))) == (2, 16, 8, 12)
    close(z, (pipeline.vae.encode(pixels).latent_dist.mode() - 0.1159) * 0.3611)
    close(base.decode_latents(z), pipeline.vae.decode(z / 0.3611 + 0.1159).sample.clamp(-1, 1))


@pytest.mark.parametrize("shift", [6.0, 3.0])
def test_a_picture_is_that_of_diffusers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: float) -> None:
    """Four Euler steps from the same noise. Their guidance counts from the prompt: 3 is our CFG 4."""
    folder = build_zimage(tmp_path / "base", shift)
    drawn: list[Tensor] = []
    decode = Base.decode_latents

    def decoding(self: Base, z: Tensor) -> Tensor:
        drawn.append(decode(self, z))
        return drawn[-1]

    monkeypatch.setattr(Base, "decode_latents", decoding)
    spec = PictureSpec(
        "a girl, smile", "blue hair", seed=7, steps=4, sampler="Euler", schedule="Simple", cfg=4.0, width=96, height=64
    )
    base = load_base(folder)
    draw(Pipeline(base), spec)
    start = torch.randn(base.latent_shape((96, 64)), generator=torch.Generator().manual_seed(7))
    theirs = load_pipeline(folder)(
        prompt=spec.prompt,
        negative_prompt=spec.negative,
        latents=start.unsqueeze(0),
        num_inference_steps=4,
        guidance_scale=3.0,
        width=96,
        height=64,
        output_type="pt",
    ).images
    close((drawn[-1] / 2 + 0.5).clamp(0, 1), theirs)


def test_a_prompt_s_tokens_are_counted(folder: Path) -> None:
    counted = count_tokens(["a girl", "zbk"], str(folder))
    assert counted is not None
    assert counted.room < 512
    assert len(counted.chunks) == 2
    assert all(count > 0 for count in counted.chunks)


def test_it_is_recognised(base: Base) -> None:
    assert base.family is ZIMAGE
    assert (base.parametrisation.prediction, base.resolution, base.vae_factor) == ("flow", 1024, 8)
