"""Adapters of ours in diffusers and PEFT: every key is taken, and the picture is the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.adapters.surgery.respelling import respell
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.events import finish
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from tests.adapters.drawing import state_of, trained_adapter
from tests.checkpoints import write_checkpoint

PROMPT = "a red hat, smile"


@contextmanager
def complaints() -> Iterator[list[str]]:
    """What diffusers warns of inside the block: keys that it does not take among it."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("diffusers")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


def pipeline_of(base: Base) -> Any:
    """diffusers' pipeline over the base's own parts."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip
    parts = {"vae": base.vae, "unet": base.denoiser, "scheduler": scheduler}
    for suffix, encoder in zip(("", "_2"), base.text_encoders, strict=False):
        parts |= {f"text_encoder{suffix}": encoder.model, f"tokenizer{suffix}": encoder.tokenizer}
    with quiet_libraries():
        if base.family.name == "sdxl":
            pipeline = StableDiffusionXLPipeline(**parts, add_watermarker=False, force_zeros_for_empty_prompt=False)
        else:
            more = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
            pipeline = StableDiffusionPipeline(**parts, **more)
        pipeline.set_progress_bar_config(disable=True)
    return pipeline


def output(base: Base) -> Tensor:
    """What the denoiser says about noise, told the prompt through the text encoders."""
    x = torch.randn(1, *base.latent_shape((64, 64)), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return base.denoise(x, torch.tensor([0.6]), base.encode([PROMPT]))


def adapter_file(folder: Path, base: Base, **more: Any) -> Path:
    adapter = replace(trained_adapter(base, alpha=2.0, rank=4, **more), name="ours")
    return save_adapter(folder / "ours.safetensors", adapter, torch.float32)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_an_adapter_of_ours_draws_the_same_in_diffusers(family: str, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / f"{family}.safetensors", family)
    base = load_base(path, prediction="epsilon")
    file = adapter_file(tmp_path, base, conv_rank=2)
    adapter = load_adapter(file)
    bare = output(base)
    with AdapterBank(base, [adapter]).attached():
        expected = output(base)
    assert float((expected - bare).abs().max()) > 0.01
    spec = PictureSpec(f"{PROMPT} <lora:ours:1>", seed=5, steps=2, cfg=3.0, width=64, height=64)
    (ours,) = finish(Pipeline(base, AdapterCache([file])).draw([spec]))

    pipeline = pipeline_of(base)
    with complaints() as said:
        pipeline.load_lora_weights(file)
    assert not [each for each in said if "key" in each.lower()]
    layers = sum(hasattr(module, "lora_A") and len(module.lora_A) > 0 for module in base.denoiser.modules())
    assert layers == sum(name.startswith("lora_unet") for name in adapter.layers)
    torch.testing.assert_close(output(base), expected, rtol=1e-3, atol=1e-4)
    drawn = pipeline(
        PROMPT, num_inference_steps=2, guidance_scale=3.0, height=64, width=64, output_type="np",
        generator=torch.Generator().manual_seed(5),
    ).images[0]  # fmt: skip
    difference = np.abs(np.asarray(ours.image, dtype=float) / 255 - drawn)
    assert float(difference.max()) < 0.5 / 255 + 1e-3  # the half level is the rounding of our picture


def test_other_spellings_of_it_are_the_same_adapter(tmp_path: Path, tiny_base: Base, tiny_base_folder: Path) -> None:
    file = adapter_file(tmp_path, tiny_base)
    with AdapterBank(tiny_base, [load_adapter(file)]).attached():
        expected = output(tiny_base)
    (spelled,), _ = respell(file, tmp_path / "diffusers.safetensors", "diffusers", str(tiny_base_folder))
    parts, _ = respell(file, tmp_path / "peft", "peft", str(tiny_base_folder))
    assert {path.parent.name for path in parts} == {"unet", "text_encoder"}
    back = load_adapter(spelled)
    assert set(back.layers) == set(load_adapter(file).layers)
    (again,), _ = respell(spelled, tmp_path / "kohya.safetensors", "kohya", str(tiny_base_folder))
    for each in (spelled, again):
        with AdapterBank(tiny_base, [load_adapter(each)]).attached():
            torch.testing.assert_close(output(tiny_base), expected, rtol=1e-2, atol=1e-3)  # half precision
    unet_alone = load_adapter(tmp_path / "peft" / "unet" / "adapter_model.safetensors")
    assert {name for name in back.layers if "unet" in name} == set(unet_alone.layers)
    text_alone = load_adapter(tmp_path / "peft" / "text_encoder" / "adapter_model.safetensors")
    assert set(AdapterBank(tiny_base, [text_alone]).layers) == {name for name in back.layers if "unet" not in name}

    peft = pytest.importorskip("peft")
    peft.PeftModel.from_pretrained(tiny_base.denoiser, tmp_path / "peft" / "unet")
    peft.PeftModel.from_pretrained(tiny_base.text_encoders[0].model, tmp_path / "peft" / "text_encoder")
    torch.testing.assert_close(output(tiny_base), expected, rtol=1e-2, atol=1e-3)


def test_doodle_is_doodle_again_bit_for_bit(tmp_path: Path) -> None:
    base = load_base("doodle")
    file = adapter_file(tmp_path, base)
    adapter: Adapter = load_adapter(file)
    before, bare = state_of(base), output(base)
    bank = AdapterBank(base, [adapter])
    bank.set_strengths(torch.zeros(1))
    with bank.attached():
        assert torch.equal(output(base), bare)
    with bank.merged(torch.zeros(1)):
        assert torch.equal(output(base), bare)
    bank.set_strengths(torch.ones(1))
    with bank.attached():
        expected = output(base)
    with bank.merged(torch.ones(1)):
        torch.testing.assert_close(output(base), expected, rtol=1e-3, atol=1e-4)
    assert float((expected - bare).abs().max()) > 1e-3
    assert torch.equal(output(base), bare)
    after = state_of(base)
    assert all(torch.equal(before[key], after[key]) for key in before)
    pipeline = pipeline_of(base)
    with complaints() as said:
        pipeline.load_lora_weights(file)
    assert not [each for each in said if "key" in each.lower()]
    torch.testing.assert_close(output(base), expected, rtol=1e-3, atol=1e-4)
    pipeline.unload_lora_weights()
    assert torch.equal(output(base), bare)
