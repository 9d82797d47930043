"""Train a tiny base of Anima's layout on the rendered world: its transformer, conditioner and Qwen3, from nothing.

    python doodle/flow_base.py --minutes 12         # goes on from work/flow_base.pt; then writes work/flow-base
    python doodle/flow_base.py --write              # writes it from work/flow_base.pt as it is

The pictures are 64 pixels wide and the model a thousandth of Anima's size: what it draws is recognised by its style
and colours. It is there for trying the whole road on a family that learns a flow. One process of one thread.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from random import Random

import numpy as np
import torch
from captions import training_caption
from diffusers import AnimaTextConditioner, CosmosTransformer3DModel, FlowMatchEulerDiscreteScheduler
from flow_vae import compute_one_frame, encode, load_vae, small_pictures
from processes import Clock, falling, save_state
from tokenizer import COMMON
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model
from world import WORK, as_input, shard, training_shards, vocabulary

from lorasmith.bases.families.anima_parts import ready
from lorasmith.bases.text.conditioned import FLOOR, ConditionedPromptEncoder
from lorasmith.bases.text.encoder import TextEncoder
from lorasmith.bases.text.options import PLAIN_TEXT

STATE = WORK / "flow_base.pt"
OUT = WORK / "flow-base"
LATENTS = WORK / "flow_latents.npz"
RATE = 2e-3
BATCH = 48
PICTURES = 800
WIDTH = 64
WORDS = 1024


def make_transformer() -> CosmosTransformer3DModel:
    """Anima's layers, 96 wide and 4 deep; the padding mask is given with the latents."""
    return CosmosTransformer3DModel(
        in_channels=16,
        out_channels=16,
        num_attention_heads=3,
        attention_head_dim=32,
        num_layers=4,
        mlp_ratio=4.0,
        text_embed_dim=WIDTH,
        adaln_lora_dim=32,
        max_size=(4, 32, 32),
        patch_size=(1, 2, 2),
        rope_scale=(1.0, 4.0, 4.0),
        concat_padding_mask=True,
        extra_pos_embed_type=None,
    )


def make_conditioner(floor: int = FLOOR) -> AnimaTextConditioner:
    return AnimaTextConditioner(
        source_dim=WIDTH,
        target_dim=WIDTH,
        model_dim=WIDTH,
        num_layers=1,
        num_attention_heads=4,
        target_vocab_size=WORDS,
        min_sequence_length=floor,
    )


def make_qwen() -> Qwen3Model:
    return Qwen3Model(
        Qwen3Config(
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            vocab_size=WORDS,
            max_position_embeddings=1024,
            rope_theta=1_000_000.0,
        )
    )


def make_tokenizer(end: bool) -> PreTrainedTokenizerFast:
    """Pieces of bytes in which every word of the world is one; with `end` a text ends in a mark, as T5's do."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tags = [tag for group in vocabulary().values() for tag in group]
    texts = [form for text in (*tags, *COMMON) for form in (text, f" {text}", f"{text},")]
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=["<pad>", "<unk>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if end:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="</s>")


class Model:
    """The trained parts, and how they answer."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.transformer = ready(make_transformer())
        self.conditioner, self.qwen = make_conditioner(floor=1), make_qwen()
        self.reader = ConditionedPromptEncoder(
            TextEncoder(self.qwen, make_tokenizer(end=False), "lora_te"),
            TextEncoder(self.conditioner, make_tokenizer(end=True), "lora_unet_llm_adapter"),
        )

    @property
    def parts(self) -> dict[str, torch.nn.Module]:
        return {"transformer": self.transformer, "text_conditioner": self.conditioner, "text_encoder": self.qwen}

    @property
    def parameters(self) -> list[torch.Tensor]:
        return [value for part in self.parts.values() for value in part.parameters()]

    def answer(self, x_t: torch.Tensor, t: torch.Tensor, captions: list[str]) -> torch.Tensor:
        """The flow for latents (n, 16, 1, 8, 8) at times (n,).

        Of the zeros up to 512 tokens behind a text one is computed, which counts as often as there are: the same sum.
        """
        tokens = self.reader.tokenize(captions, PLAIN_TEXT)
        longest = max(len(conditioned.ids) for _, conditioned in tokens)
        hidden = self.reader.encode(tokens, PLAIN_TEXT).hidden[:, : longest + 1]
        counts = hidden.new_zeros(1, longest + 1)
        counts[:, -1] = math.log(FLOOR - longest)
        masked = torch.cat([x_t, torch.zeros_like(x_t[:, :1])], dim=1)
        return self.transformer(masked, t, hidden, attention_mask=counts, return_dict=False)[0]


@torch.no_grad()
def find_latents() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardised latents (n, 16, 8, 8) of each shard's first pictures, shard after shard, and their channels' means
    and deviations; kept in work/flow_latents.npz."""
    if not LATENTS.exists():
        vae, found = load_vae(), []
        for pictures in small_pictures(PICTURES).values():
            for start in range(0, len(pictures), 50):
                found.append(encode(vae, as_input(pictures[start : start + 50]))[:, :, 0].numpy())
        latents = np.concatenate(found)
        mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
        latents = (latents - mean[:, None, None]) / deviation[:, None, None]
        partial = LATENTS.with_suffix(".partial.npz")
        np.savez(partial, latents=latents.astype(np.float32), mean=mean, deviation=deviation)
        partial.replace(LATENTS)
    kept = np.load(LATENTS)
    return kept["latents"], kept["mean"], kept["deviation"]


def train(minutes: float, steps: int | None) -> None:
    """Train so many minutes, or steps, at a falling rate."""
    compute_one_frame()
    latents, mean, deviation = find_latents()
    seen = [entry for name in training_shards() for entry in shard(name).seen[:PICTURES]]
    assert len(seen) == len(latents)
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters, lr=RATE, betas=(0.9, 0.99), weight_decay=0.01)
    step, spent = 0, 0.0
    state = torch.load(STATE, weights_only=True) if STATE.exists() else None
    if state:
        for name, part in model.parts.items():
            part.load_state_dict(state[name])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["minutes"]
    ema = state["ema"] if state else [value.detach().clone() for value in model.parameters]
    rng, random = np.random.default_rng(step), Random(step)
    torch.manual_seed(step)
    clock, began = Clock(minutes, spent), step
    recent: list[float] = []
    while True:
        fraction = clock.fraction if steps is None else (step - began) / steps
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 50) * falling(fraction)
        drawn = rng.integers(len(latents), size=BATCH)
        x_0 = torch.from_numpy(latents[drawn]).unsqueeze(2)
        captions = [training_caption(seen[index], random) for index in drawn]
        noise, t = torch.randn_like(x_0), torch.sigmoid(torch.randn(BATCH))
        moment = t.view(-1, 1, 1, 1, 1)
        flow = model.answer((1 - moment) * x_0 + moment * noise, t, captions)
        loss = (flow - (noise - x_0)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters, 1.0)
        optimizer.step()
        step += 1
        recent.append(loss.item())
        torch._foreach_lerp_(ema, [value.detach() for value in model.parameters], 1 - min(0.99, step / (step + 50)))
        stop = fraction >= 1
        if step % 50 == 0:
            print(f"{step} {clock.minutes:.1f} min loss {np.mean(recent[-50:]):.4f}", flush=True)
        if stop or clock.due(2.0):
            kept = {name: part.state_dict() for name, part in model.parts.items()}
            kept |= {"optimizer": optimizer.state_dict(), "ema": ema, "step": step, "minutes": clock.minutes}
            save_state(STATE, kept)
        if stop:
            break
    write_base(ema, mean, deviation, OUT)


def write_saved(folder: Path) -> None:
    """The base as it was saved last, without a step more."""
    if not STATE.exists():
        raise SystemExit(f"{STATE} is not there: nothing was trained yet.")
    _, mean, deviation = find_latents()
    write_base(torch.load(STATE, weights_only=True)["ema"], mean, deviation, folder)


def write_base(averaged: list[torch.Tensor], mean: np.ndarray, deviation: np.ndarray, folder: Path) -> None:
    """The averaged weights in diffusers' layout, as Anima is published."""
    parts = {"transformer": make_transformer(), "text_conditioner": make_conditioner(), "text_encoder": make_qwen()}
    with torch.no_grad():
        values = [value for part in parts.values() for value in part.parameters()]
        for value, kept in zip(values, averaged, strict=True):
            value.copy_(kept)
    vae = load_vae()
    vae.register_to_config(latents_mean=mean.tolist(), latents_std=deviation.tolist())
    for name, part in {**parts, "vae": vae}.items():
        part.save_pretrained(folder / name)
    make_tokenizer(end=False).save_pretrained(folder / "tokenizer")
    make_tokenizer(end=True).save_pretrained(folder / "t5_tokenizer")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    sizes = {name: sum(value.numel() for value in part.parameters()) for name, part in {**parts, "vae": vae}.items()}
    print(json.dumps(sizes), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--steps", type=int, help="so many steps instead")
    parser.add_argument("--write", action="store_true", help="write the base from the saved state, train nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.write:
        write_saved(OUT)
    else:
        train(options.minutes, options.steps)
