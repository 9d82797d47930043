"""Train Doodle's VAE: an AutoencoderTiny with 8 latent channels whose latents are standardised by training.

    python doodle/vae_train.py --minutes 40           # goes on from work/vae.pt if there is one

Half of the time on 64-pixel crops, which learn fast, then on whole pictures. A penalty keeps every latent channel
at mean 0 and deviation 1, so that scaling_factor is 1 and no channel is favoured by the denoiser's loss.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from diffusers import AutoencoderTiny
from processes import Clock, Crew, falling, save_state, spawn
from world import BASE_STYLES, SIDE, WORK, as_input, pixels_of, training_shards

STATE = WORK / "vae.pt"
AVERAGE_EVERY = 20
RATE = 2e-3


def make_vae() -> AutoencoderTiny:
    """Factor 8, 8 latent channels; the decoder is wider than the encoder because it draws the lines."""
    return AutoencoderTiny(
        encoder_block_out_channels=(32,) * 4,
        decoder_block_out_channels=(48,) * 4,
        num_encoder_blocks=(0, 1, 3, 6),
        num_decoder_blocks=(5, 3, 1, 0),
        latent_channels=8,
        upsampling_scaling_factor=2,
        scaling_factor=1.0,
    )


def load_vae() -> AutoencoderTiny:
    """The averaged weights of the last saved state."""
    vae = make_vae()
    vae.load_state_dict(torch.load(STATE, weights_only=True)["ema"])
    return vae.eval().requires_grad_(False)


@torch.no_grad()
def psnr(vae: AutoencoderTiny, pictures: np.ndarray) -> float:
    """Mean PSNR in dB of pictures through the VAE."""
    inputs = as_input(pictures)
    outputs = torch.cat([vae.decode(vae.encode(part).latents).sample.clamp(-1, 1) for part in inputs.split(16)])
    return float((10 * torch.log10(4 / (inputs - outputs).square().mean((1, 2, 3)))).mean())


def psnr_table(vae: AutoencoderTiny, count: int) -> dict[str, float]:
    """PSNR per style on unseen renders; pixel-art is never trained on."""
    return {style: round(psnr(vae, pixels_of(f"{style}.valid")[:count]), 2) for style in (*BASE_STYLES, "pixel-art")}


def batch(rng: np.random.Generator, base: list[np.ndarray], extras: np.ndarray, count: int, crop: int) -> np.ndarray:
    """`count` crops, one in eight of an extra style; some with permuted colours, some pixelated, half mirrored."""
    out = np.empty((count, crop, crop, 3), np.uint8)
    for index in range(count):
        source = extras if index % 8 == 7 else base[rng.integers(len(base))]
        x, y = rng.integers(0, SIDE - crop + 1, 2)
        picture = source[rng.integers(len(source)), y : y + crop, x : x + crop]
        if rng.random() < 0.2:
            picture = picture[..., rng.permutation(3)]
        if rng.random() < 0.1:
            picture = pixelate(picture, int(rng.integers(3, 9)), rng)
        out[index] = picture[:, ::-1] if rng.random() < 0.5 else picture
    return out


def pixelate(picture: np.ndarray, block: int, rng: np.random.Generator) -> np.ndarray:
    """The picture in square blocks of `block` pixels, at a random offset: hard edges that no base style has."""
    across = (np.arange(picture.shape[1]) + rng.integers(block)) // block * block
    down = (np.arange(picture.shape[0]) + rng.integers(block)) // block * block
    return picture[np.minimum(down, picture.shape[0] - 1)][:, np.minimum(across, picture.shape[1] - 1)]


def loss_of(pictures: torch.Tensor, drawn: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    """L1 + squared error, both also on horizontal and vertical differences; thin lines weigh more."""
    error = drawn - pictures
    across = (pictures[..., 1:] - pictures[..., :-1]).abs().amax(1, keepdim=True)
    edge = torch.nn.functional.pad(across, (0, 1)).gt(0.3).float().add(1.0)
    gradient = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    flat = latents.float().transpose(0, 1).flatten(1)
    moments = flat.mean(1).square().mean() + (flat.std(1) - 1).square().mean()
    far = (latents.float().abs() - 3).clamp(min=0).square().mean()
    return (error.abs() * edge).mean() + 0.4 * gradient + 2 * error.square().mean() + 0.01 * moments + 0.1 * far


def train(minutes: float, decay: bool) -> None:
    crew = Crew()
    vae = make_vae().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    step, spent = 0, 0.0
    state = torch.load(STATE, weights_only=True) if STATE.exists() else None
    if state:
        vae.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["minutes"]
    ema = {name: value.clone() for name, value in (state["ema"] if state else vae.state_dict()).items()}
    rng = np.random.default_rng(1000 * step + crew.rank)
    torch.manual_seed(1000 * step + crew.rank)
    base = [pixels_of(name) for name in training_shards()]
    extras = pixels_of("extras")
    clock = Clock(minutes, spent)
    recent: list[float] = []
    parameters = list(vae.parameters())
    while True:
        fraction = clock.fraction
        rate = RATE * min(1, (step + 1) / 100) * (falling(fraction) if decay else 1)
        for group in optimizer.param_groups:
            group["lr"] = rate
        pictures = batch(rng, base, extras, 8, 64) if fraction < 0.7 else batch(rng, base, extras, 2, SIDE)
        inputs = as_input(pictures).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            latents = vae.encode(inputs).latents
            drawn = vae.decode(latents + 0.04 * torch.randn_like(latents)).sample
        loss = loss_of(inputs, drawn.float(), latents)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        recent.append(loss.item())
        if step % AVERAGE_EVERY:
            continue
        crew.average(parameters)
        with torch.no_grad():
            for name, value in vae.state_dict().items():
                ema[name].lerp_(value, 1 - min(0.96, step / (step + 200)))
        stop = crew.agree(fraction >= 1)
        if crew.rank == 0 and step % 200 == 0:
            print(f"{step} {clock.minutes:.1f} min loss {np.mean(recent[-200:]):.4f} rate {rate:.1e}", flush=True)
        if crew.rank == 0 and (stop or clock.due()):
            judged = make_vae().eval()
            judged.load_state_dict(ema)
            print("psnr", psnr_table(judged, 16), flush=True)
            save_state(
                STATE,
                {
                    "model": vae.state_dict(),
                    "ema": ema,
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                    "minutes": clock.minutes,
                },
            )
        if stop:
            return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--no-decay", action="store_true", help="keep the learning rate up, to go on another time")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if not spawn(options.processes):
        train(options.minutes, not options.no_decay)
