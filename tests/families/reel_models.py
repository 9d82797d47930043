"""What Reel computes with: plain modules, and the folder of a base that has learnt to draw three colours by name.

Shapes: B rows, C channels, F frames (1), H and W of latents, T tokens, N patches, D width.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lorasmith.bases.compressed import compress_model
from lorasmith.bases.families.family import Parts, Structure
from lorasmith.bases.precision import Weights

COLOURS: Mapping[str, tuple[float, float, float]] = {
    "red": (0.8, -0.8, -0.8),
    "green": (-0.8, 0.8, -0.8),
    "blue": (-0.8, -0.8, 0.8),
}
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "transformer": {"_class_name": "ReelTransformer", "layers": 2, "width": 32, "heads": 2, "channels": 6, "text": 128,
                    "patch": 2},
    "vae": {"latents_mean": [0.1, -0.2, 0.3, 0.0, 0.2, -0.1], "latents_std": [0.5, 0.6, 0.4, 0.5, 0.7, 0.6]},
    "text_encoder": {"num_hidden_layers": 1, "width": 128, "heads": 4},
}  # fmt: skip


class Attention(nn.Module):
    """Softmax attention of x (B, N, D) over `other` (B, T, E), as far as `mask` (B, T) lets it."""

    def __init__(self, width: int, heads: int, other: int, out: str = "to_out", prefix: str = "to_{}") -> None:
        super().__init__()
        self.heads, self.names = heads, [prefix.format(each) for each in "qkv"] + [out]
        for name, size in zip(self.names, (width, other, other, width), strict=True):
            self.add_module(name, nn.Linear(size, width))

    def forward(self, x: Tensor, other: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v, out = (cast(nn.Linear, getattr(self, name)) for name in self.names)
        split = [each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in (q(x), k(other), v(other))]
        bias = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(split[0], split[1], split[2], attn_mask=bias)
        return cast(Tensor, out(mixed.transpose(1, 2).flatten(2)))


class TransformerBlock(nn.Module):
    def __init__(self, width: int, heads: int, text: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 4 * width)
        self.attn1, self.attn2 = Attention(width, heads, width), Attention(width, heads, text)
        self.ff = nn.ModuleDict(
            {"net": nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))}
        )

    def forward(self, x: Tensor, time: Tensor, context: Tensor, mask: Tensor | None) -> Tensor:
        scale, shift, gate, more = self.modulation(F.silu(time)).unsqueeze(1).chunk(4, dim=-1)
        x = x + gate * self.attn1(*[F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift] * 2)
        x = x + self.attn2(F.layer_norm(x, x.shape[-1:]), context, mask)
        return x + cast(Tensor, more * self.ff["net"](F.layer_norm(x, x.shape[-1:])))


class ReelTransformer(nn.Module):
    """The flow (B, C, F, H, W) of noisy latents at times (B,) in [0, 1]."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, channels, patch = config["width"], config["channels"], (1, config["patch"], config["patch"])
        self.patch = config["patch"]
        self.patch_embed = nn.Conv3d(channels, width, patch, stride=patch)
        self.time_embed = nn.Linear(width, width)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(width, config["heads"], config["text"]) for _ in range(config["layers"])
        )
        self.proj_out = nn.Linear(width, channels * self.patch**2)

    def forward(self, x: Tensor, moment: Tensor, hidden: Tensor, mask: Tensor | None) -> Tensor:
        grid = self.patch_embed(x)  # (B, D, F, H / 2, W / 2)
        tokens = grid.flatten(2).transpose(1, 2) + _waves(torch.arange(grid[0, 0].numel()), grid.shape[1]).to(x)
        time = self.time_embed(_waves(1000 * moment.float(), grid.shape[1]).to(x))
        for block in self.transformer_blocks:
            tokens = block(tokens, time, hidden, mask)
        out = self.proj_out(F.layer_norm(tokens, tokens.shape[-1:]))
        out = out.transpose(1, 2).unflatten(2, grid.shape[2:]).unflatten(1, (-1, self.patch, self.patch))
        return cast(Tensor, out.permute(0, 1, 4, 5, 2, 6, 3).flatten(-2).flatten(-3, -2))


def _waves(places: Tensor, width: int) -> Tensor:
    """Sines and cosines (n, D) of numbers (n,)."""
    rates = torch.exp(-math.log(1000) * torch.arange(width // 2, device=places.device) / (width // 2))
    angles = places[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class FilmCoder(nn.Module):
    """Pixels (B, 3, F, 8 H, 8 W) to scaled latents (B, 6, F, H, W) and back: the mean colour of each square."""

    factor, channels = 8, 6

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.mean, self.std = (
            torch.tensor(config[key]).view(1, -1, 1, 1, 1) for key in ("latents_mean", "latents_std")
        )
        self.down = nn.Conv3d(3, 6, (1, 8, 8), stride=(1, 8, 8), bias=False)
        self.up = nn.Conv3d(6, 3, 1, bias=False)
        mixed = torch.linalg.qr(torch.randn(6, 3, generator=torch.Generator().manual_seed(1)))[0]
        self.down.weight.data = (mixed / 64)[..., None, None, None].expand(6, 3, 1, 8, 8).contiguous()
        self.up.weight.data = mixed.T.contiguous()[..., None, None, None]

    def encode(self, pixels: Tensor) -> Tensor:
        return cast(Tensor, (self.down(pixels) - self.mean.to(pixels)) / self.std.to(pixels))

    def decode(self, z: Tensor) -> Tensor:
        return F.interpolate(self.up(z * self.std.to(z) + self.mean.to(z)), scale_factor=(1, 8, 8))


class TextLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, width, out="o_proj", prefix="{}_proj")
        self.mlp = nn.ModuleDict({"up_proj": nn.Linear(width, width), "down_proj": nn.Linear(width, width)})

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.self_attn(*[F.layer_norm(x, x.shape[-1:])] * 2, mask)
        widened = F.gelu(self.mlp["up_proj"](F.layer_norm(x, x.shape[-1:])))
        return x + cast(Tensor, self.mlp["down_proj"](widened))


class TextModel(nn.Module):
    """Last hidden states (B, T, D) of ids (B, T)."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.embed = nn.Embedding(Words.SIZE, config["width"])
        self.layers = nn.ModuleList(
            TextLayer(config["width"], config["heads"]) for _ in range(config["num_hidden_layers"])
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x, attention_mask.bool())
        return SimpleNamespace(last_hidden_state=F.layer_norm(x, x.shape[-1:]))


class Words:
    """A tokenizer: words that its file knows, any other letter by letter."""

    SIZE = 160
    eos_token_id, pad_token_id = 1, 0

    def __init__(self, file: Path) -> None:
        self.vocabulary: dict[str, int] = json.loads(file.read_text("utf-8"))

    def __call__(self, text: str, **how: Any) -> dict[str, list[int]]:
        del how
        ids = []
        for word in re.findall(r"\w+|[^\w\s]", text.lower()):
            ids += [self.vocabulary[word]] if word in self.vocabulary else [2 + ord(letter) % 128 for letter in word]
        return {"input_ids": ids}


def read_parts(structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
    """The parts of a base that lies in a folder."""
    folder, family = structure.evidence.path, structure.family
    made: dict[str, nn.Module] = {
        "transformer": ReelTransformer(structure.denoiser),
        "vae": FilmCoder(structure.vae),
        "text_encoder": TextModel(structure.text[0].config),
    }
    for part, model in made.items():
        model.load_state_dict(load_file(folder / part / "model.safetensors"))
        model.eval().requires_grad_(False)
        if weights == "full" or part == "vae":
            model.to(dtype)
        else:
            compress_model(model, weights, dtype, family.kept_wide)
    text = (made["text_encoder"], Words(folder / "words" / "vocab.json"))
    schedule = structure.evidence.config("scheduler", "scheduler_config.json") or {}
    return Parts(made["transformer"], made["vae"], (text,), schedule)


def build_reel(folder: Path, steps: int = 300, **transformer: Any) -> Path:
    """Write a base that draws pictures of a colour by its name."""
    configs = {**CONFIGS, "transformer": {**CONFIGS["transformer"], **transformer}}
    files = {f"{part}/config.json": config for part, config in configs.items()}
    files["scheduler/scheduler_config.json"] = {"shift": 3.0}
    files["words/vocab.json"] = {word: 130 + n for n, word in enumerate((*COLOURS, "picture", "zbk", "smile", ","))}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content), "utf-8")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        denoiser, text = ReelTransformer(configs["transformer"]), TextModel(configs["text_encoder"])
        vae = FilmCoder(configs["vae"]).requires_grad_(False)
        _teach(denoiser, text, vae, Words(folder / "words" / "vocab.json"), steps)
    for part, model in (("transformer", denoiser), ("vae", vae), ("text_encoder", text)):
        save_file(model.state_dict(), folder / part / "model.safetensors", {"format": "pt"})
    return folder


def _teach(denoiser: nn.Module, text: nn.Module, vae: FilmCoder, words: Words, steps: int) -> None:
    """Pictures of one colour with a little noise, captioned by it; every fourth without it, every fourth not at all."""
    learnt: Sequence[nn.Parameter] = [*denoiser.parameters(), *text.parameters()]
    memory = [(torch.zeros_like(each), torch.zeros_like(each)) for each in learnt]
    names = list(COLOURS)
    for step in range(steps):
        chosen = torch.randint(0, len(names), (16,)).tolist()
        pixels = torch.tensor([COLOURS[names[n]] for n in chosen]).view(16, 3, 1, 1, 1).expand(16, 3, 1, 32, 32)
        x_0 = vae.encode(pixels + 0.2 * torch.randn(16, 3, 1, 4, 4).repeat_interleave(8, 3).repeat_interleave(8, 4))
        captions = [("", "picture", f"{names[n]} picture")[min(row % 4, 2)] for row, n in enumerate(chosen)]
        ids = [[*words(caption)["input_ids"], words.eos_token_id] for caption in captions]
        mask = torch.tensor([[place < len(row) for place in range(3)] for row in ids])
        hidden = text(torch.tensor([[*row, 0, 0][:3] for row in ids]), mask).last_hidden_state
        t, noise = torch.sigmoid(torch.randn(16)), torch.randn_like(x_0)
        x_t = torch.lerp(x_0, noise, t.view(-1, 1, 1, 1, 1))
        loss = F.mse_loss(denoiser(x_t, t, hidden * mask.unsqueeze(-1), mask), noise - x_0)
        gradients = torch.autograd.grad(loss, learnt)
        for parameter, gradient, (m, v) in zip(learnt, gradients, memory, strict=True):  # Adam (Kingma & Ba 2015)
            m.lerp_(gradient, 0.1)
            v.lerp_(gradient.square(), 0.02)
            step_size = 4e-3 * min(1.0, 2 * (1 - step / steps)) / (1 - 0.9 ** (step + 1))
            parameter.data -= step_size * m / ((v / (1 - 0.98 ** (step + 1))).sqrt() + 1e-8)
