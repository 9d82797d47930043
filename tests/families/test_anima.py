"""Anima against diffusers' own modules and modular pipeline, on a model of its true layout and small widths."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.bases.text.counting import count_tokens
from lorasmith.bases.text.options import TextOptions
from tests.families.anima_models import load_pipeline

TEXTS = ("a girl, smile, blue hair", "zbk", "")


@pytest.fixture(scope="module")
def folder(anima_folder: Path) -> Path:
    return anima_folder


@pytest.fixture(scope="module")
def base(anima_base: Base) -> Base:
    return anima_base


@pytest.fixture
def pipeline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return load_pipeline(folder, monkeypatch)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_torchvision_is_not_there() -> None:
    assert "torchvision" not in sys.modules


@torch.no_grad()
def test_texts_are_those_of_diffusers(base: Base, pipeline: Any) -> None:
    from diffusers.modular_pipelines.anima.before_denoise import AnimaTextConditioningStep
    from diffusers.modular_pipelines.anima.encoders import AnimaTextEncoderStep

    device, dtype = torch.device("cpu"), torch.float32
    for texts in (TEXTS, *([text] for text in TEXTS)):
        read = AnimaTextEncoderStep.encode_prompt(
            pipeline, list(texts), prepare_unconditional_embeds=False, device=device, dtype=dtype
        )
        theirs = AnimaTextConditioningStep._condition_prompt_embeds(
            pipeline,
            read["qwen_prompt_embeds"],
            read["qwen_attention_mask"],
            read["t5_input_ids"],
            read["t5_attention_mask"],
            device,
            dtype,
            dtype,
        )
        ours = base.encode(list(texts), TextOptions(emphasis="none"))
        assert ours.hidden.shape == (len(texts), 512, 16)
        close(ours.hidden, theirs)


@torch.no_grad()
def test_a_pass_is_that_of_diffusers(base: Base, pipeline: Any) -> None:
    context = base.encode(["a girl", "blue hair"])
    x_t, t = torch.randn(2, 16, 1, 8, 12), torch.tensor([0.25, 0.9])
    theirs = pipeline.transformer(
        hidden_states=x_t,
        timestep=t,
        encoder_hidden_states=context.hidden,
        padding_mask=torch.zeros(1, 1, 64, 96),
        return_dict=False,
    )[0]
    close(base.denoise(x_t, t, context), theirs)


def test_a_prompt_s_tokens_are_counted(folder: Path) -> None:
    counted = count_tokens(["a girl", "zbk"], str(folder))
    assert counted is not None
    assert len(counted.chunks) == 2
    assert all(count > 0 for count in counted.chunks)
