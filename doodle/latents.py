"""Encode every training picture once: work/latents/NAME.npy, float16 (n, 8, 16, 16), and the face weights.

python doodle/latents.py        # goes on where it was stopped
"""

from __future__ import annotations

import os

import numpy as np
import torch
from processes import spawn
from vae_train import load_vae
from world import SIDE, WORK, WORLD, as_input, pixels_of, training_shards

CELLS = SIDE // 8
#: How much more a latent cell counts when the face (eyes, mouth, glasses) fills it.
FACE_WEIGHT = 2.5


def face_weights(frames: np.ndarray, style: str) -> np.ndarray:
    """Loss weights (n, 16, 16) of the latent cells, mean 1: the face's box counts FACE_WEIGHT times.

    `frames` (n, 3): the x, y and width of the part of the drawing that a picture shows, as fractions.
    """
    left, top, right, bottom = WORLD["styles"][style]["face"]
    edges = np.arange(CELLS) / CELLS
    x, y, width = frames[:, 0:1], frames[:, 1:2], frames[:, 2:3]
    across = x + width * (edges + 0.5 / CELLS)
    down = y + width * (edges + 0.5 / CELLS)
    inside_x = (across > left) & (across < right)
    inside_y = (down > top) & (down < bottom)
    weights = 1 + (FACE_WEIGHT - 1) * (inside_y[:, :, None] & inside_x[:, None, :])
    return (weights / weights.mean((1, 2), keepdims=True)).astype(np.float16)


@torch.no_grad()
def encode(name: str, count: int | None = None) -> np.ndarray:
    """Latents (n, 8, 16, 16), float16, of the first `count` pictures of a shard, or of all."""
    vae = load_vae().to(memory_format=torch.channels_last)
    pixels = pixels_of(name)[:count]
    out = np.empty((len(pixels), 8, CELLS, CELLS), np.float16)
    for start in range(0, len(pixels), 64):
        inputs = as_input(pixels[start : start + 64]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            latents = vae.encode(inputs).latents
        out[start : start + 64] = latents.float().numpy()
    return out


def main() -> None:
    rank, copies = int(os.environ["DOODLE_RANK"]), int(os.environ["DOODLE_COPIES"])
    folder = WORK / "latents"
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(training_shards()):
        file = folder / f"{name}.npy"
        if index % copies != rank or file.exists():
            continue
        latents = encode(name)
        np.save(file.with_suffix(".partial.npy"), latents)
        file.with_suffix(".partial.npy").rename(file)
        print(
            name,
            "mean",
            latents.mean().round(3),
            "deviation",
            latents.astype(np.float32).std((0, 2, 3)).round(2),
            flush=True,
        )


if __name__ == "__main__" and not spawn(2):
    main()
