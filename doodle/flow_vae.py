"""Train the autoencoder of the tiny flow base: AutoencoderKLQwenImage's layout, narrow, on pictures of 64 pixels.

    python doodle/flow_vae.py --minutes 6           # goes on from work/flow_vae.pt if there is one

One process of one thread. A picture is a film of one frame: the frames before it are zeros, so that of each kernel only
the last slice counts, and training computes no others.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from diffusers import AutoencoderKLQwenImage
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageCausalConv3d
from processes import Clock, falling, save_state
from torch.nn import functional
from vae_train import loss_of, pixelate
from world import WORK, as_input, pixels_of, training_shards

STATE = WORK / "flow_vae.pt"
SIDE = 64
RATE = 2e-3
BATCH = 16
VAE = {
    "base_dim": 16,
    "z_dim": 16,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 1,
    "temperal_downsample": [False, True, True],
}


def make_vae() -> AutoencoderKLQwenImage:
    """Factor 8, 16 latent channels, as Anima's, a sixth as wide."""
    return AutoencoderKLQwenImage(**VAE)


def compute_one_frame() -> None:
    """Let the causal convolutions of this process take films of one frame only, without their kernels' idle slices."""

    def forward(self: QwenImageCausalConv3d, x: torch.Tensor, cache_x: torch.Tensor | None = None) -> torch.Tensor:
        assert x.shape[2] == 1
        assert cache_x is None
        padded = functional.pad(x[:, :, 0], self._padding[:4])
        return functional.conv2d(padded, self.weight[:, :, -1], self.bias, self.stride[1:]).unsqueeze(2)

    QwenImageCausalConv3d.forward = forward


def small_pictures(count: int | None = None) -> dict[str, np.ndarray]:
    """The first pictures of the finished shards, or all, at half their size: name -> (n, 64, 64, 3) uint8."""
    found = {}
    for name in training_shards():
        pixels = pixels_of(name)[:count]
        small = [
            part.reshape(-1, SIDE, 2, SIDE, 2, 3).mean((2, 4), dtype=np.float32)
            for part in np.array_split(pixels, max(1, len(pixels) // 500))
        ]
        found[name] = np.concatenate(small).round().astype(np.uint8)
    return found


def encode(vae: AutoencoderKLQwenImage, pixels: torch.Tensor) -> torch.Tensor:
    """Pixels (n, 3, h, w) in [-1, 1] to latents (n, 16, 1, h / 8, w / 8) as the VAE makes them; the mode."""
    return vae.encode(pixels.unsqueeze(2)).latent_dist.mode()


def decode(vae: AutoencoderKLQwenImage, latents: torch.Tensor) -> torch.Tensor:
    """Latents to pixels (n, 3, h, w)."""
    return vae.decode(latents).sample[:, :, 0]


def load_vae() -> AutoencoderKLQwenImage:
    """The averaged weights of the last saved state."""
    vae = make_vae()
    vae.load_state_dict(torch.load(STATE, weights_only=True)["ema"])
    return vae.eval().requires_grad_(False)


@torch.no_grad()
def psnr(vae: AutoencoderKLQwenImage, pictures: np.ndarray) -> float:
    """Mean PSNR in dB of pictures through the VAE."""
    inputs = as_input(pictures)
    outputs = torch.cat([decode(vae, encode(vae, part)).clamp(-1, 1) for part in inputs.split(16)])
    return float((10 * torch.log10(4 / (inputs - outputs).square().mean((1, 2, 3)))).mean())


def batch(rng: np.random.Generator, shards: list[np.ndarray]) -> np.ndarray:
    """`BATCH` pictures; some with permuted colours, some pixelated, half mirrored."""
    out = np.empty((BATCH, SIDE, SIDE, 3), np.uint8)
    for index in range(BATCH):
        source = shards[rng.integers(len(shards))]
        picture = source[rng.integers(len(source))]
        if rng.random() < 0.2:
            picture = picture[..., rng.permutation(3)]
        if rng.random() < 0.15:
            picture = pixelate(picture, int(rng.integers(2, 5)), rng)
        out[index] = picture[:, ::-1] if rng.random() < 0.5 else picture
    return out


def train(minutes: float, steps: int | None = None) -> None:
    """Train so many minutes, or steps; the last 50 pictures of the first shard are not trained on."""
    compute_one_frame()
    torch.manual_seed(0)
    vae = make_vae()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    step, spent = 0, 0.0
    state = torch.load(STATE, weights_only=True) if STATE.exists() else None
    if state:
        vae.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["minutes"]
    ema = {name: value.clone() for name, value in (state["ema"] if state else vae.state_dict()).items()}
    rng = np.random.default_rng(step)
    torch.manual_seed(step)
    shards = list(small_pictures().values())
    unseen, shards[0] = shards[0][-50:], shards[0][:-50]
    clock, began = Clock(minutes, spent), step
    recent: list[float] = []
    while True:
        fraction = clock.fraction if steps is None else (step - began) / steps
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 50) * falling(fraction)
        inputs = as_input(batch(rng, shards))
        with torch.autocast("cpu", torch.bfloat16):
            latents = encode(vae, inputs)
            drawn = decode(vae, latents + 0.04 * torch.randn_like(latents))
        loss = loss_of(inputs, drawn.float(), latents)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        step += 1
        recent.append(loss.item())
        with torch.no_grad():
            for name, value in vae.state_dict().items():
                ema[name].lerp_(value, 1 - min(0.99, step / (step + 50)))
        stop = fraction >= 1
        if step % 50 == 0:
            print(f"{step} {clock.minutes:.1f} min loss {np.mean(recent[-50:]):.4f}", flush=True)
        if stop or clock.due(2.0):
            judged = make_vae().eval()
            judged.load_state_dict(ema)
            print(f"psnr {psnr(judged, unseen):.2f} dB", flush=True)
            kept = {"model": vae.state_dict(), "ema": ema, "optimizer": optimizer.state_dict()}
            save_state(STATE, {**kept, "step": step, "minutes": clock.minutes})
        if stop:
            return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--steps", type=int, help="so many steps instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    train(options.minutes, options.steps)
