"""The whole run, from the start of the process to the adapter file: against its own pure step time, and a peer's.

The peer is the same job written with diffusers, PEFT and Accelerate in the manner of diffusers' own LoRA example for
text-to-image, but with cached latents as ours: the text encoder runs in every step, the adapter is PEFT's. Both sides
are processes of their own that start from the same folder of captioned images: rank 8 on the attentions' layers and
the projections around them, AdamW, constant rate, one batch size, one resolution, float32, as many threads. Ours is a
project nothing of which is cached.

A full run is one round of about 1,120 steps each side: some six minutes on two cores, so that one round has to do;
`--rounds 3` takes the median of three, `--steps` makes the job shorter (and start-up weigh more).

Run: python -m benchmarks.whole_run [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from benchmarks.example_project import copy_with_recipe
from benchmarks.timing import machine, ratio_line
from lorasmith.examples import example_folder

RANK, BATCH, RATE = 8, 4, 1e-4
RECIPE = f"""
[recipe]
epochs = {{epochs}}
target_steps = {{steps}}
batch_size = {BATCH}
accumulate = 1
algorithm = "lora"
rank = {RANK}
alpha = {RANK}
layers = ["attention"]
conv.rank = 0
bucket.enabled = false
lr = {{{{ unet = {RATE}, text_encoder = 0 }}}}
optimizer = {{{{ name = "adamw", weight_decay = 1e-2 }}}}
schedule = {{{{ name = "constant", warmup = 0 }}}}
loss.min_snr_gamma = 0
noise.offset = 0
preserve.kind = "none"
caption = {{{{ shuffle = false, dropout = 0 }}}}
flip = false
clip_skip = 1
save_every = "100000 steps"
"""


def make_project(folder: Path, steps: int) -> Path:
    """The shipped character as a project whose run has about `steps` steps; its image count decides exactly."""
    images = len(list((example_folder("character") / "images").glob("*.png")))
    batches = -(-images // BATCH)
    epochs = max(1, round(steps / batches))
    return copy_with_recipe(folder, RECIPE.format(epochs=epochs, steps=epochs * batches))


def run_ours(folder: Path, steps: int) -> dict[str, float]:
    """Seconds of the process, and of its steps alone."""
    root = make_project(folder / "project", steps)
    command = [sys.executable, "-m", "lorasmith.cli.main", "train", str(root), "--json"]
    begun = time.perf_counter()
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    whole = time.perf_counter() - begun
    done = json.loads(ran.stdout.splitlines()[-1])
    assert Path(done["adapter"]).is_file()
    learning = sum(array.size for key, array in load_file(done["adapter"]).items() if not key.endswith(".alpha"))
    return {
        "whole": whole,
        "steps": float(done["seconds"]),
        "count": float(done["steps"]),
        "parameters": float(learning),
    }


def run_peer(folder: Path, steps: int) -> dict[str, float]:
    """Seconds of the peer's process."""
    root = make_project(folder / "project", steps)
    out = folder / "peer"
    command = [
        sys.executable,
        "-m",
        "benchmarks.whole_run",
        "--peer",
        str(root),
        "--out",
        str(out),
        "--steps",
        str(steps),
    ]
    begun = time.perf_counter()
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    whole = time.perf_counter() - begun
    told = json.loads(ran.stdout.splitlines()[-1])
    assert list(out.glob("*.safetensors")), "the peer wrote no adapter"
    return {"whole": whole, "count": float(told["steps"]), "parameters": float(told["parameters"])}


def train_as_peer(root: Path, out: Path, steps: int) -> tuple[int, int]:
    """The peer: diffusers' parts, PEFT's adapter, Accelerate's loop; gives the number of steps, and of parameters."""
    import numpy as np
    import torch
    import torch.nn.functional as F
    from accelerate import Accelerator
    from diffusers import AutoencoderTiny, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from diffusers.optimization import get_scheduler
    from diffusers.utils import convert_state_dict_to_diffusers
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict
    from PIL import Image
    from torch.utils.data import DataLoader
    from transformers import CLIPTextModel, CLIPTokenizer

    from lorasmith.bases.doodle import doodle_folder

    torch.manual_seed(42)
    base = doodle_folder()
    accelerator = Accelerator(cpu=True)
    tokenizer = CLIPTokenizer.from_pretrained(base / "tokenizer")
    text_encoder = CLIPTextModel.from_pretrained(base / "text_encoder", dtype=torch.float32)
    vae = AutoencoderTiny.from_pretrained(base / "vae", torch_dtype=torch.float32)
    unet = UNet2DConditionModel.from_pretrained(base / "unet", torch_dtype=torch.float32)
    noise_scheduler = DDPMScheduler.from_pretrained(base / "scheduler")
    for part in (text_encoder, vae, unet):
        part.requires_grad_(False)
    attention = ["to_k", "to_q", "to_v", "to_out.0", "proj_in", "proj_out"]
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=attention))
    trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8)

    side = int(unet.config.sample_size) * 8
    files = sorted((root / "images").glob("*.png"))
    captions = [file.with_suffix(".txt").read_text("utf-8").strip() for file in files]
    ids = tokenizer(captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
    latents: list[Any] = []
    with torch.no_grad():
        for file in files:
            picture = Image.open(file).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1
            latents.append(vae.encode(pixels.unsqueeze(0)).latents[0] * vae.config.scaling_factor)
    rows = list(zip(latents, ids, strict=True))
    loader = DataLoader(rows, batch_size=BATCH, shuffle=True)  # type: ignore[arg-type]
    epochs = max(1, round(steps / len(loader)))
    schedule = get_scheduler("constant", optimizer=optimizer)
    unet, optimizer, loader, schedule = accelerator.prepare(unet, optimizer, loader, schedule)
    done, learning = 0, sum(parameter.numel() for parameter in trained)
    for _ in range(epochs):
        unet.train()
        for clean, tokens in loader:
            with accelerator.accumulate(unet):
                noise = torch.randn_like(clean)
                t = torch.randint(0, noise_scheduler.config.num_train_timesteps, (clean.shape[0],))
                noisy = noise_scheduler.add_noise(clean, noise, t)
                hidden = text_encoder(tokens, return_dict=False)[0]
                target = noise_scheduler.get_velocity(clean, noise, t)
                output = unet(noisy, t, hidden, return_dict=False)[0]
                loss = F.mse_loss(output.float(), target.float(), reduction="mean")
                accelerator.gather(loss.repeat(BATCH)).mean()
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(trained, 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            done += 1
            loss.detach().item()
    factors = convert_state_dict_to_diffusers(get_peft_model_state_dict(accelerator.unwrap_model(unet)))
    StableDiffusionPipeline.save_lora_weights(out, unet_lora_layers=factors, safe_serialization=True)
    return done, learning


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer steps, one round")
    parser.add_argument("--steps", type=int, default=0, help="of a run; 1120 by default, 16 when quick")
    parser.add_argument("--rounds", type=int, default=0, help="1 by default")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    steps = given.steps or (16 if given.quick else 1120)
    if given.peer is not None:
        done, learning = train_as_peer(given.peer, given.out, steps)
        print(json.dumps({"steps": done, "parameters": learning}))
        return
    print(
        machine(), f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}, about {steps} steps of batch {BATCH}"
    )
    ours: list[dict[str, float]] = []
    peers: list[dict[str, float]] = []
    for turn in range(given.rounds or 1):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(run_ours(Path(folder) / "ours", steps))
            peers.append(run_peer(Path(folder) / "peer", steps))
        assert ours[-1]["count"] == peers[-1]["count"], "both sides take as many steps"
        assert ours[-1]["parameters"] == peers[-1]["parameters"], "and train the same layers"
        own, its = ours[-1], peers[-1]
        print(f"round {turn + 1}: ours {own['whole']:.1f} s, its steps {own['steps']:.1f} s; peer {its['whole']:.1f} s")
    whole = statistics.median(each["whole"] for each in ours)
    pure = statistics.median(each["steps"] for each in ours)
    peer = statistics.median(each["whole"] for each in peers)
    print(ratio_line("whole run / its pure step time", whole / pure, at_most=1.15))
    print(ratio_line("whole run / diffusers + PEFT", whole / peer, at_most=0.8))


if __name__ == "__main__":
    main()
