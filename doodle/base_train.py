"""Train Doodle's denoiser and text encoder together on precomputed latents.

    python doodle/base_train.py --minutes 90              # constant learning rate; goes on from work/base.pt
    python doodle/base_train.py --minutes 20 --anneal     # lets the rate fall to 2 %; writes work/annealed.pt

The constant phase can be continued at any later time, because annealing starts from its state and leaves it alone.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from random import Random

import numpy as np
import torch
from captions import training_caption
from convolutions import quicken
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from latents import face_weights
from processes import Clock, Crew, falling, save_state, spawn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from world import WORK, shard, training_shards

STATE = WORK / "base.pt"
ANNEALED = WORK / "annealed.pt"
NOISE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "clip_sample": False,
}
RATE = 1.2e-3
BATCH = 64
AVERAGE_EVERY = 10
TOKENS = 77


def make_denoiser() -> UNet2DConditionModel:
    """SD1's layout on 16 x 16 latents of 8 channels; cross attention everywhere but in the last, dearest block."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=(96, 128, 160),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * 3,
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=128,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def make_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """CLIP's text model, 128 wide and 3 deep. Wide apart embeddings keep unknown words distinct."""
    end = tokenizer.eos_token_id
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        projection_dim=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=end,
        pad_token_id=end,
    )
    model = CLIPTextModel(config)
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=0.08)
    return model


class Encoder:
    """Captions to padded token ids, word by word from a cache."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.tokenizer = tokenizer
        self.words: dict[str, list[int]] = {}
        self.start, self.end = tokenizer.bos_token_id, tokenizer.eos_token_id

    def ids(self, caption: str) -> list[int]:
        out = [self.start]
        for word in re.findall(r"[^\W\d]+|\d|[^\s\w]+", caption):
            if word not in self.words:
                self.words[word] = self.tokenizer(word, add_special_tokens=False).input_ids
            out += self.words[word]
        out = [*out[: TOKENS - 1], self.end]
        return out + [self.end] * (TOKENS - len(out))


class Pictures:
    """Latents, face weights and attributes of every training picture that is encoded."""

    def __init__(self) -> None:
        names = [name for name in training_shards() if (WORK / "latents" / f"{name}.npy").exists()]
        self.latents = [np.load(WORK / "latents" / f"{name}.npy", mmap_mode="r") for name in names]
        shards = [shard(name) for name in names]
        self.seen = [entry.seen for entry in shards]
        self.weights = [face_weights(entry.frames, entry.name.rsplit(".", 1)[0]) for entry in shards]
        self.count = sum(map(len, self.seen))

    def draw(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor, list[dict[str, str]]]:
        """`count` random pictures: latents (n, 8, 16, 16), weights (n, 1, 16, 16), attributes."""
        places = [(rng.integers(len(self.seen)), rng.integers(len(self.seen[0]))) for _ in range(count)]
        latents = np.stack([self.latents[a][b] for a, b in places]).astype(np.float32)
        weights = np.stack([self.weights[a][b] for a, b in places]).astype(np.float32)
        return torch.from_numpy(latents), torch.from_numpy(weights)[:, None], [self.seen[a][b] for a, b in places]


def train(minutes: float, anneal: bool) -> None:
    crew = Crew()
    tokenizer = CLIPTokenizer.from_pretrained(WORK / "tokenizer")
    torch.manual_seed(0)
    denoiser, text = make_denoiser(), make_text_encoder(tokenizer)
    # NOTE: torch's fused attention has a slow backward pass on CPUs: written out, a step takes two thirds of the time.
    denoiser.set_attn_processor(AttnProcessor())
    text.set_attn_implementation("eager")
    quicken(denoiser)
    parameters = [*denoiser.parameters(), *text.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.99), weight_decay=1e-3)
    step, spent, ema = 0, 0.0, None
    if STATE.exists():
        state = torch.load(STATE, weights_only=True)
        denoiser.load_state_dict(state["denoiser"])
        text.load_state_dict(state["text"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent, ema = state["step"], state["minutes"], state["ema"]
    elif crew.rank == 0:
        print(sum(p.numel() for p in denoiser.parameters()), sum(p.numel() for p in text.parameters()), flush=True)
    crew.average(parameters)
    start = step
    rng, random = np.random.default_rng(7919 * step + crew.rank), Random(7919 * step + crew.rank)
    torch.manual_seed(7919 * step + crew.rank)
    pictures, encoder = Pictures(), Encoder(tokenizer)
    alphas = DDPMScheduler(**NOISE).alphas_cumprod
    clock = Clock(minutes, spent)
    recent: list[float] = []
    while True:
        fraction = clock.fraction
        fall = falling(fraction) if anneal else 1.0
        rate = RATE * min(1, (step + 1) / 60, (step - start + 1) / 20) * fall
        for group in optimizer.param_groups:
            group["lr"] = rate
        latents, weights, seen = pictures.draw(rng, BATCH)
        latents = latents.contiguous(memory_format=torch.channels_last)
        ids = torch.tensor([encoder.ids(training_caption(entry, random)) for entry in seen])
        t = torch.randint(0, 1000, (BATCH,))
        a = alphas[t].view(-1, 1, 1, 1)
        noise = torch.randn_like(latents)
        noisy, target = a.sqrt() * latents + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * latents
        with torch.autocast("cpu", torch.bfloat16):
            output = denoiser(noisy, t, encoder_hidden_states=text(ids).last_hidden_state).sample
        loss = ((output.float() - target).square() * weights).mean()
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
            if ema is None:
                ema = [value.detach().clone() for value in parameters]
            else:
                keep = min(0.98, (step / AVERAGE_EVERY) / (step / AVERAGE_EVERY + 8)) if not anneal else 0.95
                torch._foreach_lerp_(ema, [value.detach() for value in parameters], 1 - keep)
        stop = crew.agree(fraction >= 1)
        if crew.rank == 0 and step % 50 == 0:
            speed = (step - start) * BATCH * crew.size / (clock.minutes - spent) / 60
            print(
                f"{step} {clock.minutes:.1f} min {speed:.0f}/s loss {np.mean(recent[-200:]):.4f} rate {rate:.1e}",
                flush=True,
            )
        if crew.rank == 0 and (stop or clock.due()):
            save_state(
                ANNEALED if anneal else STATE,
                {
                    "denoiser": denoiser.state_dict(),
                    "text": text.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "ema": ema,
                    "step": step,
                    "minutes": clock.minutes,
                },
            )
        if stop:
            return


def load_averaged(file: Path) -> tuple[UNet2DConditionModel, CLIPTextModel, CLIPTokenizer]:
    """The averaged denoiser and text encoder of a state, and the tokenizer."""
    tokenizer = CLIPTokenizer.from_pretrained(WORK / "tokenizer")
    denoiser, text = make_denoiser(), make_text_encoder(tokenizer)
    averaged = torch.load(file, weights_only=True, map_location="cpu")["ema"]
    with torch.no_grad():
        for value, mean in zip([*denoiser.parameters(), *text.parameters()], averaged, strict=True):
            value.copy_(mean)
    return denoiser.eval(), text.eval(), tokenizer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--anneal", action="store_true", help="let the rate fall, and write work/annealed.pt")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if not spawn(options.processes):
        train(options.minutes, options.anneal)
