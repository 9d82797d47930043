"""Eight pictures with eight different adapters in one batch; switching adapters; changing a strength.

Beside ours: eight pictures with one adapter, of the bare base, and diffusers that loads, draws and unloads one
adapter after another. LoRA of rank 16 on all attention layers. On Doodle; and, without --quick, on a UNet of SD 1.5's
true shape (859M random weights, 256x256).

Run: python -m benchmarks.many_adapters [--quick]
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from benchmarks.timing import alternate, machine, ratio_line
from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families.unet_layers import text_targets, unet_targets
from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.bases.text.encoder import TextEncoder
from lorasmith.events import finish
from lorasmith.generation.adapter_sets import AdapterSet, Member, identify
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec

COUNT = 8
RANK = 16


def true_shape(doodle: Base) -> Base:
    """SD 1.5's UNet and text encoder and a small autoencoder, with random weights; Doodle's tokenizer."""
    torch.manual_seed(0)
    tokenizer = doodle.text_encoders[0].tokenizer
    unet = UNet2DConditionModel(sample_size=32, cross_attention_dim=768).eval().requires_grad_(False)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    text = CLIPTextModel(config).eval().requires_grad_(False)
    targets = [*unet_targets(unet.config, stability_names=False), *text_targets(12, "lora_te", "text_encoder")]
    base = dataclasses.replace(
        doodle,
        name="true-shape",
        denoiser=unet,
        vae=AutoencoderTiny(latent_channels=4).eval().requires_grad_(False),
        text_encoders=(TextEncoder(text, tokenizer, "lora_te"),),
        resolution=256,
        targets={target.name: target for target in targets},
        _modules={},
    )
    base.__dict__["content_hash"] = "0" * 64
    return base


def make_adapters(base: Base, folder: Path) -> list[Path]:
    """Eight files, with effect."""
    paths = []
    for number in range(COUNT):
        paths.append(save_adapter(folder / f"a{number}.safetensors", adapter_of(base, number, RANK), torch.float32))
    return paths


def adapter_of(base: Base, seed: int, rank: int) -> Adapter:
    """On the attention of the denoiser, with effect, so that nothing is skipped."""
    generator = torch.Generator().manual_seed(seed)
    fresh = new_adapter(
        base, name=f"a{seed}", rank=rank, alpha=rank, text_encoder=False, generator=generator, groups=("attention",)
    )
    layers = {
        name: factors.with_trained(
            {**factors.trained(), "up": 0.01 * torch.randn(factors.trained()["up"].shape, generator=generator)}
        )
        for name, factors in fresh.layers.items()
    }
    return dataclasses.replace(fresh, layers=layers)


def pipeline_of(base: Base) -> Any:
    """diffusers' own pipeline over the same parts."""
    with quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = StableDiffusionPipeline(
            vae=base.vae,
            text_encoder=base.text_encoders[0].model,
            tokenizer=base.text_encoders[0].tokenizer,
            unet=base.denoiser,
            scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False, steps_offset=1),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def drawing(base: Base, folder: Path, steps: int, cfg: float, rounds: int) -> dict[str, float]:
    """Median seconds of eight pictures: bare, one adapter, eight adapters; and one after another by diffusers."""
    lorasmith = Pipeline(base, AdapterCache([folder]))
    pipeline = pipeline_of(base)

    def ours(tags: Sequence[str]) -> Callable[[], object]:
        specs = [PictureSpec(f"a face {tag}", seed=i, steps=steps, cfg=cfg) for i, tag in enumerate(tags)]
        return lambda: finish(lorasmith.draw(specs))

    def theirs() -> None:
        for number in range(COUNT):
            with quiet_libraries(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pipeline.load_lora_weights(folder, weight_name=f"a{number}.safetensors", adapter_name="a")
                pipeline(
                    "a face",
                    num_inference_steps=steps,
                    guidance_scale=cfg,
                    width=base.resolution,
                    height=base.resolution,
                    generator=torch.Generator().manual_seed(number),
                )
                pipeline.unload_lora_weights()

    # Strengths that differ keep one adapter on the side path: eight pictures of one set would be merged.
    sides = {
        "bare": ours([""] * COUNT),
        "one": ours([f"<lora:a0:{0.8 + 0.01 * (i == 0)}>" for i in range(COUNT)]),
        "merged": ours(["<lora:a0:0.8>"] * COUNT),
        "eight": ours([f"<lora:a{i}:0.8>" for i in range(COUNT)]),
        "diffusers": theirs,
    }
    return alternate(sides, rounds)


def switching(base: Base, paths: Sequence[Path], rounds: int) -> dict[str, float]:
    """Median seconds to go from one adapter to another, its file included; and to change a strength."""
    pipeline = pipeline_of(base)
    turn = 0
    kept: dict[str, Any] = {"merged": None}

    def load() -> tuple[Member, Adapter]:
        nonlocal turn
        turn += 1
        adapter = load_adapter(paths[turn % COUNT])
        return Member(adapter.name, None, identify(adapter)), adapter

    def side() -> None:
        member, adapter = load()
        adapter_set = AdapterSet(base, {member: adapter})
        with adapter_set.acting([{member: 0.8}]):
            pass

    def merged() -> None:
        member, adapter = load()
        bank = AdapterSet(base, {member: adapter}).bank
        assert bank is not None
        kept["merged"] = bank.merge(torch.tensor([0.8]), over=kept["merged"])
        with kept["merged"].applied():
            pass

    def theirs() -> None:
        nonlocal turn
        turn += 1
        with quiet_libraries(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = paths[turn % COUNT]
            pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name="a")
            pipeline.fuse_lora(lora_scale=0.8)
            pipeline.unfuse_lora()
            pipeline.unload_lora_weights()

    member, adapter = load()
    standing = AdapterSet(base, {member: adapter})

    def strength() -> None:
        nonlocal turn
        turn += 1
        with standing.acting([{member: 0.5 + turn / 1000}]):
            pass

    return alternate({"side": side, "merged": merged, "diffusers": theirs, "strength": strength}, rounds)


def report(word: str, seconds: dict[str, float]) -> None:
    print(f"{word}: " + ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in seconds.items()))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Doodle only, fewer steps and rounds")
    quick = parser.parse_args(argv).quick
    print(machine(), f"{torch.get_num_threads()} threads")
    lines = []
    doodle = load_base("doodle")
    shapes: list[tuple[str, Callable[[], Base], int, float, int]] = [
        ("Doodle", lambda: doodle, 2 if quick else 8, 4.0, 1 if quick else 15)
    ]
    if not quick:
        shapes.append(("true shape", lambda: true_shape(doodle), 2, 1.0, 3))
    for word, make, steps, cfg, rounds in shapes:
        base = make()
        with tempfile.TemporaryDirectory() as place:
            paths = make_adapters(base, Path(place))
            drawn = drawing(base, Path(place), steps, cfg, rounds)
            report(f"{word}, eight pictures", drawn)
            moved = switching(base, paths, 2 if quick else 7)
            report(f"{word}, switching", moved)
        lines += [
            ratio_line(
                f"{word}: 8 adapters / 1 adapter", drawn["eight"] / min(drawn["one"], drawn["merged"]), at_most=1.05
            ),
            ratio_line(f"{word}: 8 adapters / bare base", drawn["eight"] / drawn["bare"], at_most=1.12),
            ratio_line(f"{word}: one by one in diffusers / ours", drawn["diffusers"] / drawn["eight"], at_least=1.5),
        ]
        if word != "Doodle" or quick:
            lines += [
                ratio_line(
                    f"{word}: switching in diffusers / merged", moved["diffusers"] / moved["merged"], at_least=2.5
                ),
                ratio_line(
                    f"{word}: switching in diffusers / side path", moved["diffusers"] / moved["side"], at_least=2.5
                ),
                ratio_line(f"{word}: ms to change a strength", 1000 * moved["strength"], at_most=20),
            ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
