"""Write Doodle as a diffusers folder, fp16 safetensors.

    python doodle/export.py [--constant] [--to FOLDER]     # work/base, or the package's weights folder

--constant takes the state of the constant-rate phase instead of the annealed one.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from base_train import ANNEALED, NOISE, STATE, load_averaged
from diffusers import DDIMScheduler, StableDiffusionPipeline
from vae_train import load_vae
from world import WORK

MOST_BYTES = 25_000_000


def export(state: Path, folder: Path) -> int:
    """Write the folder anew and give its size in bytes. Raises ValueError above 25 MB."""
    denoiser, text, tokenizer = load_averaged(state)
    pipeline = StableDiffusionPipeline(
        vae=load_vae(),
        text_encoder=text,
        tokenizer=tokenizer,
        unet=denoiser,
        scheduler=DDIMScheduler(**NOISE, set_alpha_to_one=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to(torch.float16)
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
    for file in folder.rglob("*.json"):
        document = json.loads(file.read_text("utf-8"))
        if isinstance(document, dict) and "_name_or_path" in document:
            del document["_name_or_path"]
            file.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > MOST_BYTES:
        raise ValueError(f"{folder}: {size} bytes, more than {MOST_BYTES}")
    return size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--constant", action="store_true")
    parser.add_argument("--to", type=Path, default=WORK / "base")
    options = parser.parse_args()
    print(options.to, export(STATE if options.constant else ANNEALED, options.to), "bytes")
