"""FLUX.2-klein against diffusers' own modules and pipeline, on a model of its true layout and small widths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families.klein import KLEIN, is_distilled
from lorasmith.bases.text.counting import count_tokens
from lorasmith.bases.text.options import TextOptions
from lorasmith.diffusion.noise import key_generator
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from tests.families.klein_models import build_klein, load_pipeline
from tests.families.roads import draw

LONG = "a girl, smile, blue hair, red background, standing; " * 3
TEXTS = ("a girl, (smile:1.2), blue hair", "zbk", "", LONG, LONG * 12)
LAYERS = (1, 2, 3)
"""Of four, as 9, 18 and 27 are of 36."""


@pytest.fixture(scope="module")
def folder(klein_folder: Path) -> Path:
    return klein_folder


@pytest.fixture(scope="module")
def base(klein_base: Base) -> Base:
    return klein_base


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Any:
    return load_pipeline(folder)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_texts_are_those_of_diffusers(base: Base, pipeline: Any) -> None:
    ours = base.encode(list(TEXTS))
    theirs, _ = pipeline.encode_prompt(list(TEXTS), text_encoder_out_layers=LAYERS)
    assert ours.hidden.shape == theirs.shape == (5, 512, 3 * 24)
    assert ours.mask is None
    close(ours.hidden, theirs)
    for row, text in enumerate(TEXTS):
        close(base.encode([text]).hidden[0], ours.hidden[row])


def test_brackets_are_letters_and_what_is_too_long_is_cut(base: Base, pipeline: Any) -> None:
    reader, drawing = base.prompt_encoder, TextOptions("a1111", emphasis="original")
    said = pipeline.tokenizer.decode(reader.tokenize([r"(blue:1.2) hair \(x\)"], drawing)[0][0].ids)
    assert said == "<|im_start|>user\n(blue:1.2) hair (x)<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert not reader.is_cut(LONG, drawing)
    assert reader.is_cut(LONG * 12, drawing)


@pytest.mark.parametrize("size", [(4, 6), (3, 5)])
@torch.no_grad()
def test_a_pass_is_that_of_diffusers(base: Base, pipeline: Any, size: tuple[int, int]) -> None:
    x_t, t = torch.randn(4, 32, *size, generator=key_generator(0)), torch.tensor([0.25, 0.9, 1.0, 0.01])
    context = base.encode(list(TEXTS[:4]))
    texts, text_ids = pipeline.encode_prompt(list(TEXTS[:4]), text_encoder_out_layers=LAYERS)
    packed, places = pipeline.prepare_latents(4, 8, size[0] * 16, size[1] * 16, x_t.dtype, x_t.device, None, x_t)
    theirs = pipeline.transformer(packed, texts, t, places, text_ids, return_dict=False)[0]
    ours = base.denoise(x_t, t, context)
    close(ours, pipeline._unpack_latents_with_ids(theirs, places, *size))
    for row in range(4):
        close(base.denoise(x_t[row : row + 1], t[row : row + 1], context[row : row + 1]), ours[row : row + 1])


@torch.no_grad()
def test_latents_are_those_of_diffusers(base: Base, pipeline: Any) -> None:
    pixels = torch.rand(2, 3, 64, 96, generator=key_generator(0)) * 2 - 1
    z = base.encode_images(pixels)
    assert z.shape == (2, *base.latent_shape((96, 64))) == (2, 32, 4, 6)
    close(z, pipeline._encode_vae_image(pixels, None))
    assert float((base.decode_latents(z) - pixels).abs().max()) < 2.5


@pytest.mark.parametrize(("steps", "cfg"), [(4, 4.0), (5, 1.0)])
def test_a_picture_is_that_of_diffusers(
    folder: Path, base: Base, monkeypatch: pytest.MonkeyPatch, steps: int, cfg: float
) -> None:
    """Euler steps from the same noise; the shift is the steps', too. Their negative prompt is always empty."""
    drawn: list[Tensor] = []
    decode = Base.decode_latents

    def decoding(self: Base, z: Tensor) -> Tensor:
        drawn.append(decode(self, z))
        return drawn[-1]

    monkeypatch.setattr(Base, "decode_latents", decoding)
    spec = PictureSpec(
        "a girl, smile", seed=7, steps=steps, sampler="Euler", schedule="Simple", cfg=cfg, width=96, height=64
    )
    draw(Pipeline(base), spec)
    start = torch.randn(base.latent_shape((96, 64)), generator=torch.Generator().manual_seed(7))
    theirs = load_pipeline(folder)(
        prompt=spec.prompt,
        latents=start.unsqueeze(0),
        num_inference_steps=steps,
        guidance_scale=cfg,
        width=96,
        height=64,
        output_type="pt",
        text_encoder_out_layers=LAYERS,
    ).images
    close((drawn[-1] / 2 + 0.5).clamp(0, 1), theirs)


def test_a_prompt_s_tokens_are_counted(folder: Path) -> None:
    counted = count_tokens(["a girl", "zbk"], str(folder))
    assert counted is not None
    assert counted.room < 512
    assert all(count > 0 for count in counted.chunks)


def test_it_is_recognised_and_distilled_told_apart(base: Base, tmp_path: Path) -> None:
    assert base.family is KLEIN
    assert (base.parametrisation.prediction, base.resolution, base.vae_factor, base.cfg) == ("flow", 1024, 16, 4.0)
    assert not base.cautions
    distilled = load_base(build_klein(tmp_path / "base", distilled=True))
    assert distilled.structure is not None
    assert is_distilled(distilled.structure)
    assert distilled.cfg == 1.0
    assert "four steps" in distilled.cautions[0]
