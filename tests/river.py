"""A family that only the tests know: a small transformer that learns a flow, a text encoder that reads long texts, and
latents with a frame axis. Nothing of it is a UNet, CLIP, or diffusers'. Shapes: B rows, C channels, N places, T tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_model, save_file
from torch import Tensor, nn

from lorasmith.bases.compressed import compress_model
from lorasmith.bases.families.evidence import Evidence, TextStructure, read_config
from lorasmith.bases.families.family import (
    Family,
    FamilyCost,
    HeaderFacts,
    Models,
    Parts,
    Preset,
    Structure,
    TextPart,
)
from lorasmith.bases.framing import Framing
from lorasmith.bases.precision import Weights
from lorasmith.bases.targets import Group, TargetLayer, underscored
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.encoder import PromptEncoder, TextEncoder
from lorasmith.bases.text.long import LongPromptEncoder
from tests.tiny import tiny_tokenizer

WIDTH, TEXT, CHANNELS, DEPTH, FACTOR = 32, 16, 4, 2, 8
LAYERS: tuple[tuple[str, Group], ...] = (
    *((name, "attention") for name in ("to_q", "to_k", "to_v", "to_out")),
    ("widen", "mlp"),
    ("narrow", "mlp"),
)


class RiverBlock(nn.Module):
    """Attention over the picture's places and the text's tokens together, then two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.widen, self.narrow = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        h = self.norm(x)
        attended = F.scaled_dot_product_attention(self.to_q(h), self.to_k(h), self.to_v(h), seen)
        x = x + self.to_out(attended)
        return x + self.narrow(self.widen(x).relu())  # type: ignore[no-any-return]


class RiverDenoiser(nn.Module):
    """Latents (B, C, 1, H, W), a time (B,) in [0, 1], text (B, T, D) and its mask (B, T): the flow."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.time, self.text = nn.Linear(CHANNELS, WIDTH), nn.Linear(1, WIDTH), nn.Linear(TEXT, WIDTH)
        self.blocks = nn.ModuleList(RiverBlock() for _ in range(DEPTH))
        self.leave = nn.Linear(WIDTH, CHANNELS)

    def forward(self, x: Tensor, moment: Tensor, hidden: Tensor, mask: Tensor) -> Tensor:
        h = self.enter(x.flatten(2).transpose(1, 2)) + self.time(moment.to(x.dtype).view(-1, 1, 1))
        N = h.shape[1]
        seen = torch.cat([mask.new_ones(len(mask), N), mask], dim=1).unsqueeze(1)
        h = torch.cat([h, self.text(hidden)], dim=1)
        for block in self.blocks:
            h = block(h, seen)
        return self.leave(h[:, :N]).transpose(1, 2).reshape(x.shape)  # type: ignore[no-any-return]


class RiverVae(nn.Module):
    """Eight by eight pixels to a latent and back; means and deviations per channel."""

    config = SimpleNamespace(latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.0, 2.0, 0.5, 1.5])

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, CHANNELS, FACTOR, FACTOR)
        self.up = nn.ConvTranspose2d(CHANNELS, 3, FACTOR, FACTOR)

    @property
    def dtype(self) -> torch.dtype:
        return self.down.weight.dtype

    def encode(self, pixels: Tensor) -> SimpleNamespace:
        return SimpleNamespace(latents=self.down(pixels[:, :, 0]).unsqueeze(2))

    def decode(self, latents: Tensor) -> SimpleNamespace:
        return SimpleNamespace(sample=self.up(latents[:, :, 0]).unsqueeze(2))


class RiverText(nn.Module):
    """A vector for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.mix = nn.Embedding(len(tiny_tokenizer()), TEXT), nn.Linear(TEXT, TEXT)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.mix(self.tokens(input_ids)) * attention_mask.unsqueeze(-1))


class RiverFamily(Family):
    """Everything that Lorasmith asks of a family."""

    def header_facts(self, prediction: str | None = None) -> HeaderFacts:  # noqa: ARG002
        return HeaderFacts("river_v1", "river/lora")

    def claims(self, evidence: Evidence) -> bool:
        return (evidence.config("transformer") or {}).get("_class_name") == "RiverDenoiser"

    def examine(self, evidence: Evidence) -> Structure:
        config = read_config(evidence.path, "transformer")
        text = TextStructure("text_encoder", {"num_hidden_layers": 1})
        return Structure(self, config, {}, (text,), evidence=evidence)

    def targets(self, denoiser: Mapping[str, Any], depths: Sequence[int]) -> dict[str, TargetLayer]:
        del depths
        layers = [TargetLayer("lora_te_mix", "te", "linear", "mlp", "text_encoder", "mix", "TE")]
        for number in range(denoiser.get("depth", DEPTH)):
            for name, group in LAYERS:
                path = f"blocks.{number}.{name}"
                kohya = f"lora_unet_{underscored(path)}"
                layers.append(TargetLayer(kohya, "unet", "linear", group, "transformer", path, f"IN{number:02}"))
        return {layer.name: layer for layer in layers}

    def public_layers(self) -> dict[str, TargetLayer]:
        return self.targets({}, (1,))

    def load(self, structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
        models: dict[str, nn.Module] = {
            "transformer": RiverDenoiser(),
            "vae": RiverVae(),
            "text_encoder": RiverText(),
        }
        for part, model in models.items():
            load_model(model, structure.evidence.path / part / "model.safetensors")
            model.eval().requires_grad_(False).to(dtype)
            if weights != "full" and part != "vae":
                compress_model(model, weights, dtype, self.kept_wide)
        text = ((models["text_encoder"], tiny_tokenizer()),)
        return Parts(models["transformer"], models["vae"], text, {"shift": 3.0})

    def prompt_encoder(self, encoders: Sequence[TextEncoder]) -> PromptEncoder:
        return LongPromptEncoder(encoders[0], 512)

    def denoise(
        self, models: Models, x_t: Tensor, moment: Tensor, context: Context, framings: Sequence[Framing]
    ) -> Tensor:
        del framings
        assert x_t.ndim == 5
        return models.denoiser(x_t, moment, context.hidden, context.mask)  # type: ignore[no-any-return]

    def latent_shape(self, models: Models, size: tuple[int, int]) -> tuple[int, ...]:
        del models
        return (CHANNELS, 1, size[1] // FACTOR, size[0] // FACTOR)

    def encode_images(self, models: Models, pixels_BCHW: Tensor) -> Tensor:
        from lorasmith.bases.families.latents import encode

        return encode(models.vae, pixels_BCHW.unsqueeze(2))

    def decode_latents(self, models: Models, latents: Tensor) -> Tensor:
        from lorasmith.bases.families.latents import decode

        return decode(models.vae, latents).squeeze(2)

    def vae_factor(self, models: Models) -> int:
        del models
        return FACTOR

    def stages(self, denoiser: nn.Module) -> list[nn.Module]:
        return list(denoiser.get_submodule("blocks").children())


RIVER = RiverFamily(
    name="river",
    title="River",
    objective="flow",
    denoiser_part="transformer",
    cost=FamilyCost(1e5, 1e6, 1e3, 1_000, 100, 100, 10, 0.1, 0.001),
    presets={
        "*": Preset(
            {"resolution": 64, "batch_size": 2, "epochs": 1, "rank": 2, "alpha": 2, "optimizer": {"name": "adamw"}},
            ("small, for tests",),
        )
    },
    cfg=4.0,
    resolution=64,
    text=(TextPart("text_encoder", "lora_te", "tokenizer"),),
    version_words=("river",),
    block_layouts={3: ("BASE", "IN00", "IN01")},
    kept_wide=frozenset({"enter", "time", "text", "leave"}),
)


def build_river(folder: Path, seed: int = 0) -> Path:
    """A base of the family, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        models = {"transformer": RiverDenoiser(), "vae": RiverVae(), "text_encoder": RiverText()}
    for part, model in models.items():
        (folder / part).mkdir(parents=True)
        save_file(model.state_dict(), folder / part / "model.safetensors")
    (folder / "transformer" / "config.json").write_text(f'{{"_class_name": "RiverDenoiser", "depth": {DEPTH}}}')
    return folder
