"""Bases of each family against the libraries' own pipelines, and what is refused."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families.sdxl import time_ids
from lorasmith.bases.framing import Framing, frame_whole
from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.bases.text.clip import second_ids
from lorasmith.bases.text.options import TextOptions
from lorasmith.errors import BaseError
from tests.tiny import build_tiny_base, diffusers_pipeline

FAMILIES = ("sd1", "sd2", "sdxl")


def tokens(base: Base, *prompts: str) -> Tensor:
    tokenizer = base.text_encoders[0].tokenizer
    return torch.tensor(tokenizer(list(prompts), padding="max_length", max_length=77)["input_ids"])


def skipping(clip_skip: int) -> TextOptions:
    return TextOptions(clip_skip=clip_skip)


@pytest.fixture(params=FAMILIES)
def family_base(request: pytest.FixtureRequest, family_folders: dict[str, Path]) -> Base:
    return load_base(family_folders[request.param])


def test_family_and_sizes(family_folders: dict[str, Path]) -> None:
    for family, folder in family_folders.items():
        base = load_base(folder)
        assert base.family.name == family
        assert (base.resolution, base.latent_shape((64, 64)), base.vae_factor) == (64, (4, 8, 8), 8)
        assert base.parametrisation.prediction == ("v_prediction" if family == "sd2" else "epsilon")
        assert [encoder.prefix for encoder in base.text_encoders] == (
            ["lora_te1", "lora_te2"] if family == "sdxl" else ["lora_te"]
        )


def test_every_target_is_a_live_frozen_layer(family_base: Base) -> None:
    assert len(family_base.targets) > 90
    layers = {id(family_base.module(name)) for name in family_base.targets}
    assert len(layers) == len(family_base.targets)
    for name in family_base.targets:
        layer = family_base.module(name)
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        assert not layer.training
        assert not any(parameter.requires_grad for parameter in layer.parameters())


def test_text_and_denoiser_agree_with_the_pipeline(family_base: Base, family_folders: dict[str, Path]) -> None:
    pipeline = diffusers_pipeline(family_folders[family_base.family.name])
    prompts = ["zbk, red hair", "blue hat, smile"]
    context = family_base.encode(prompts)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    t = torch.tensor([0.01, 0.8])
    with torch.no_grad():
        out = family_base.denoise(x, t, context)
        if family_base.family.name == "sdxl":
            hidden, _, pooled, _ = pipeline.encode_prompt(prompts, device="cpu", do_classifier_free_guidance=False)
            assert context.pooled is not None
            torch.testing.assert_close(context.pooled, pooled)
            ids = pipeline._get_add_time_ids((64, 64), (0, 0), (64, 64), hidden.dtype, pooled.shape[-1])
            added = {"text_embeds": pooled, "time_ids": ids.expand(2, -1)}
            expected = pipeline.unet(x, 1000 * t, hidden, added_cond_kwargs=added).sample
        else:
            hidden, _ = pipeline.encode_prompt(prompts, "cpu", 1, do_classifier_free_guidance=False)
            expected = pipeline.unet(x, 1000 * t, hidden).sample
    torch.testing.assert_close(context.hidden, hidden)
    torch.testing.assert_close(out, expected)


def test_sdxl_is_told_the_size(family_folders: dict[str, Path]) -> None:
    base = load_base(family_folders["sdxl"])
    context = base.encode(["hat"])
    x, t = torch.randn(1, 4, 8, 8), torch.tensor([0.5])
    with torch.no_grad():
        own, same, other = (base.denoise(x, t, context, size) for size in (None, (64, 64), (64, 128)))
    assert torch.equal(own, same)
    assert not torch.equal(own, other)
    assert time_ids(x, [frame_whole((640, 480))]).tolist() == [[480, 640, 0, 0, 480, 640]]


def test_sdxl_is_told_each_rows_framing(family_folders: dict[str, Path]) -> None:
    base = load_base(family_folders["sdxl"])
    context = base.encode(["hat"] * 2)
    x, t = torch.randn(1, 4, 8, 8).expand(2, 4, 8, 8), torch.tensor([0.5, 0.5])
    cut = Framing((600, 1000), (51, 0), (64, 64))
    assert time_ids(x, [frame_whole((64, 64)), cut]).tolist() == [
        [64, 64, 0, 0, 64, 64],
        [1000, 600, 0, 51, 64, 64],
    ]
    with torch.no_grad():
        whole = base.denoise(x, t, context)
        told = base.denoise(x, t, context, None, [frame_whole((64, 64)), cut])
    torch.testing.assert_close(told[0], whole[0])
    assert not torch.allclose(told[1], whole[1])


def test_clip_skip_takes_an_earlier_state_and_norms_it(family_folders: dict[str, Path]) -> None:
    base = load_base(family_folders["sd1"])
    texts = ["1girl, smile"]
    ids = tokens(base, *texts)
    model = base.text_encoders[0].model
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states
        for skip in (1, 2, 3):
            torch.testing.assert_close(
                base.encode(texts, skipping(skip)).hidden, model.final_layer_norm(states[-skip]), rtol=0, atol=1e-6
            )
    assert not torch.allclose(base.encode(texts, skipping(1)).hidden, base.encode(texts, skipping(2)).hidden)
    with pytest.raises(ValueError, match="3 text layers"):
        base.encode(texts, skipping(4))


def test_sdxl_ignores_clip_skip_and_pads_its_second_encoder_with_its_own_token(
    family_folders: dict[str, Path],
) -> None:
    base = load_base(family_folders["sdxl"])
    ids = tokens(base, "red hat")
    one, two = (base.encode(["red hat"], skipping(skip)) for skip in (1, 2))
    assert torch.equal(one.hidden, two.hidden)
    second = base.text_encoders[1].tokenizer
    expected = second(["red hat"], padding="max_length", max_length=77)["input_ids"]
    assert second_ids(base.text_encoders, ids).tolist() == expected
    assert second_ids(base.text_encoders, ids).tolist() != ids.tolist()


def test_text_is_differentiable(tiny_base: Base) -> None:
    embedding = tiny_base.text_encoders[0].model.embeddings.token_embedding
    embedding.weight.requires_grad_(True)
    loss = tiny_base.encode(["zbk"]).hidden.square().sum()
    (gradient,) = torch.autograd.grad(loss, embedding.weight)
    assert float(gradient.abs().sum()) > 0


def test_images_round_through_both_kinds_of_vae(family_base: Base, family_folders: dict[str, Path]) -> None:
    vae: Any = diffusers_pipeline(family_folders[family_base.family.name]).vae
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = family_base.encode_images(pixels)
    assert z.shape == (2, 4, 8, 8)
    assert torch.equal(z, family_base.encode_images(pixels))
    with torch.no_grad():
        if family_base.family.name == "sd1":
            raw = vae.encode(pixels).latents
        else:
            raw = vae.encode(pixels).latent_dist.mean
        torch.testing.assert_close(z, raw * vae.config.scaling_factor)
        torch.testing.assert_close(family_base.decode_latents(z), vae.decode(raw).sample.clamp(-1, 1))


def test_content_hash_follows_the_weights(tmp_path: Path, tiny_base_folder: Path) -> None:
    same = shutil.copytree(tiny_base_folder, tmp_path / "same")
    (same / "readme.txt").write_text("not a weight")
    other = build_tiny_base(tmp_path / "other", seed=1)
    hashes = [load_base(folder).content_hash for folder in (tiny_base_folder, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_half_precision_weights_load(tmp_path: Path, tiny_base_folder: Path) -> None:
    with quiet_libraries():
        pipeline = diffusers_pipeline(tiny_base_folder).to(torch.float16)
        pipeline.save_pretrained(tmp_path / "half", variant="fp16")
    base = load_base(tmp_path / "half")
    assert base.dtype == torch.float32
    assert load_base(tmp_path / "half", torch.bfloat16).dtype == torch.bfloat16


def test_loading_says_nothing(
    tiny_base_folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        load_base(tiny_base_folder)
    out, err = capfd.readouterr()
    assert (out, err, caplog.records) == ("", "", [])


class TestRefusals:
    @pytest.fixture
    def folder(self, tmp_path: Path, tiny_base_folder: Path) -> Path:
        return shutil.copytree(tiny_base_folder, tmp_path / "base")

    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(BaseError, match="no such file or folder"):
            load_base(tmp_path / "nothing")

    def test_not_a_base(self, tmp_path: Path) -> None:
        with pytest.raises(BaseError, match=r"unet/config\.json"):
            load_base(tmp_path)

    def test_pickled_weights_only(self, folder: Path) -> None:
        weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
        weights.rename(weights.with_suffix(".bin"))
        with pytest.raises(BaseError, match="pickled") as caught:
            load_base(folder)
        assert "safetensors" in (caught.value.hint or "")

    def test_truncated_weights(self, folder: Path) -> None:
        weights = folder / "text_encoder" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
        with pytest.raises(BaseError, match="cannot be loaded"):
            load_base(folder)

    def test_broken_config(self, folder: Path) -> None:
        (folder / "unet" / "config.json").write_text("{")
        with pytest.raises(BaseError, match="cannot be read"):
            load_base(folder)

    def test_missing_scheduler(self, folder: Path) -> None:
        shutil.rmtree(folder / "scheduler")
        with pytest.raises(BaseError, match="scheduler"):
            load_base(folder)

    @pytest.mark.parametrize(
        ("part", "changes", "message"),
        [
            ("unet", {"in_channels": 9}, "9 channels"),
            ("unet", {"addition_embed_type": "image"}, "conditions"),
            ("unet", {"addition_embed_type": "text_time"}, "text_encoder_2"),
            ("vae", {"_class_name": "VQModel"}, "VQModel"),
        ],
    )
    def test_other_models(self, folder: Path, part: str, changes: dict[str, Any], message: str) -> None:
        file = folder / part / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
        with pytest.raises(BaseError, match=message):
            load_base(folder)
