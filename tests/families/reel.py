"""Reel, a family that only tests know: a tiny transformer over films of one frame, taught a flow.

One line registers it: ``FAMILIES.register(REEL)``.

Told and planned without torch; what computes stands in `reel_models`. Little of it is as the house's own families have
it: other folders, other prefixes of names, one long context with a mask, latents with a frame axis and a mean and a
deviation for each channel, patches of two latents, blocks with names of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.bases.families.cost import FamilyCost
from lorasmith.bases.families.evidence import Evidence, TextStructure, read_config
from lorasmith.bases.families.facts import HeaderFacts, Preset, TextPart
from lorasmith.bases.families.family import Family, Models, Parts, Structure
from lorasmith.bases.targets import Group, TargetLayer, underscored
from lorasmith.errors import BaseError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lorasmith.bases.framing import Framing
    from lorasmith.bases.precision import Weights
    from lorasmith.bases.text.context import Context
    from lorasmith.bases.text.encoder import PromptEncoder, TextEncoder

TOKENS = 64
_CLASS = "ReelTransformer"
# (name in adapter files, path in the model, group) inside a block, as the makers and as diffusers would spell them.
_LAYERS: tuple[tuple[str, str, Group], ...] = (
    *((f"self_attn.{tail}_proj", f"attn1.to_{tail}", "attention") for tail in ("q", "k", "v", "out")),
    *((f"cross_attn.{tail}_proj", f"attn2.to_{tail}", "attention") for tail in ("q", "k", "v", "out")),
    ("mlp.layer1", "ff.net.0", "mlp"),
    ("mlp.layer2", "ff.net.2", "mlp"),
    ("modulation", "modulation", "time"),
)
_TEXT: tuple[tuple[str, Group], ...] = (
    *((f"self_attn.{tail}_proj", "attention") for tail in ("q", "k", "v", "o")),
    ("mlp.up_proj", "mlp"),
    ("mlp.down_proj", "mlp"),
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ReelFamily(Family):
    """Bases with a `ReelTransformer`; any depth."""

    def header_facts(self, prediction: str | None = None) -> HeaderFacts:  # noqa: ARG002 - a flow always
        return HeaderFacts("reel", "reel-v1/lora", "https://reel.example")

    def claims(self, evidence: Evidence) -> bool:
        config = evidence.config("transformer")
        return config is not None and config.get("_class_name") == _CLASS

    def examine(self, evidence: Evidence) -> Structure:
        denoiser, vae = (read_config(evidence.path, part) for part in ("transformer", "vae"))
        if denoiser.get("patch") != 2:
            raise BaseError(f"has patches of {denoiser.get('patch')}.", where=evidence.path, hint="Reel has 2.")
        text = TextStructure("text_encoder", read_config(evidence.path, "text_encoder"))
        return Structure(self, denoiser, vae, (text,), evidence=evidence)

    def targets(self, denoiser: Mapping[str, Any], depths: Sequence[int]) -> dict[str, TargetLayer]:
        found: list[TargetLayer] = []
        for index in range(denoiser["layers"]):
            for tail, path, group in _LAYERS:
                name = f"lora_dit_{underscored(f'blocks.{index}.{tail}')}"
                path = f"transformer_blocks.{index}.{path}"
                found.append(TargetLayer(name, "unet", "linear", group, "transformer", path, f"B{index:02}"))
        for index in range(depths[0]):
            for path, group in _TEXT:
                path = f"layers.{index}.{path}"
                name = f"lora_words_{underscored(path)}"
                found.append(TargetLayer(name, "te", "linear", group, "text_encoder", path, "TE"))
        return {target.name: target for target in found}

    def public_layers(self) -> dict[str, TargetLayer]:
        return self.targets({"layers": 8}, [4])

    def load(self, structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
        from tests.families.reel_models import read_parts

        return read_parts(structure, dtype, weights)

    def prompt_encoder(self, encoders: Sequence[TextEncoder]) -> PromptEncoder:
        from lorasmith.bases.text.long import LongPromptEncoder

        return LongPromptEncoder(encoders[0], TOKENS, step=8)

    def tokenizer(self, path: Path) -> Any:
        from tests.families.reel_models import Words

        return Words(path / "words" / "vocab.json")

    def denoise(
        self,
        models: Models,
        x_t: Tensor,
        moment: Tensor,
        context: Context,
        framings: Sequence[Framing],  # noqa: ARG002 - it is told no sizes
    ) -> Tensor:
        out: Tensor = models.denoiser(x_t, moment, context.hidden, context.mask)
        return out

    def latent_shape(self, models: Models, size: tuple[int, int]) -> tuple[int, ...]:
        width, height = (side // self.vae_factor(models) for side in size)
        return (models.vae.channels, 1, height, width)

    def encode_images(self, models: Models, pixels_BCHW: Tensor) -> Tensor:
        latents: Tensor = models.vae.encode(pixels_BCHW.unsqueeze(2))
        return latents

    def decode_latents(self, models: Models, latents: Tensor) -> Tensor:
        film: Tensor = models.vae.decode(latents)
        return film[:, :, 0]

    def vae_factor(self, models: Models) -> int:
        return int(models.vae.factor)

    def stages(self, denoiser: nn.Module) -> list[nn.Module]:
        return list(denoiser.get_submodule("transformer_blocks").children())


REEL = ReelFamily(
    name="reel",
    title="Reel",
    cost=FamilyCost(2e4, 1e6, 2e3, 3_000, 1_500, 2_000, 500, 0.1, 0.001),
    presets={
        "*": Preset(
            {
                "resolution": 96,
                "bucket": {"min": 64, "max": 160, "step": 32},
                "batch_size": 4,
                "target_steps": 20,
                "rank": 4,
                "alpha": 4,
                "lr": {"unet": 1e-2, "text_encoder": 5e-3},
                "optimizer": {"name": "adamw"},
                "schedule": {"name": "constant"},
                "timesteps": {"sampling": "logit_normal", "shift": 2.0},
                "caption": {"shuffle": True, "keep_tokens": 1},
                "save_every": "10 steps",
            },
            ("twenty steps show that the road is whole",),
        ),
        "style": Preset({"rank": 8, "alpha": 8}, ("a style asks for more",)),
    },
    cfg=2.5,
    resolution=96,
    text=(TextPart("text_encoder", "lora_words", "words"),),
    objective="flow",
    denoiser_part="transformer",
    reads_clip_skip=False,
    own_names=("lora_dit_",),
    version_words=("reel",),
    block_layouts={3: ("BASE", "B00", "B01")},
    kept_wide=frozenset({"patch_embed", "time_embed", "proj_out"}),
    pixel_step=16,
)
