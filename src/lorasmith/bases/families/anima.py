"""Anima: a Cosmos transformer that learns a flow, told of texts by Qwen3 through a conditioner of its own.

Names of layers as kohya's trainer (`networks/lora_anima.py`) and ComfyUI have them, paths as diffusers. Depth, width
and heads are the file's: models of 2, 2.9 and 3.8 billion weights are one family. Importable without torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.bases.families.anima_file import examine_file, file_sources, start_of
from lorasmith.bases.families.anima_layers import BLOCK, CONDITIONING, ENDS, MODULATION
from lorasmith.bases.families.cost import Counts, FamilyCost, PerRow
from lorasmith.bases.families.evidence import Evidence, TextStructure, read_config, read_evidence
from lorasmith.bases.families.facts import HeaderFacts, Preset, TextPart, TrainerTimes
from lorasmith.bases.families.family import Family, Models, Parts, Structure
from lorasmith.bases.families.qwen import qwen_targets
from lorasmith.bases.families.readers import ANIMA_READERS
from lorasmith.bases.targets import Group, TargetLayer, underscored
from lorasmith.bases.text.plain_words import open_tokenizer
from lorasmith.errors import BaseError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lorasmith.bases.families.original import Source
    from lorasmith.bases.framing import Framing
    from lorasmith.bases.precision import Weights
    from lorasmith.bases.text.context import Context
    from lorasmith.bases.text.encoder import PromptEncoder, TextEncoder

_CLASS = "CosmosTransformer3DModel"
CONDITIONER = "text_conditioner"
_PUBLIC_DEPTHS = (28, 6)
_TEXT_WIDTH = 1024


@dataclass(frozen=True, eq=False, kw_only=True)
class AnimaFamily(Family):
    """Bases with a Cosmos transformer, a text conditioner, Qwen3 and the VAE of Qwen-Image."""

    def header_facts(self, prediction: str | None = None) -> HeaderFacts:  # noqa: ARG002 - a flow always
        # kohya's sai_model_spec.py (ARCH_ANIMA_PREVIEW, IMPL_ANIMA) and anima_train_network.py.
        return HeaderFacts("anima", "anima-preview/lora", "https://huggingface.co/circlestone-labs/Anima")

    def claims(self, evidence: Evidence) -> bool:
        if evidence.header is not None:
            return start_of(evidence.shapes) is not None
        config = evidence.config("transformer")
        return config is not None and config.get("_class_name") == _CLASS and evidence.has(CONDITIONER)

    def examine(self, evidence: Evidence) -> Structure:
        if evidence.header is not None:
            return examine_file(self, evidence)
        parts = ("transformer", "vae", "text_encoder", CONDITIONER)
        denoiser, vae, qwen, conditioner = (read_config(evidence.path, part) for part in parts)
        if conditioner.get("target_dim") != denoiser.get("text_embed_dim"):
            raise BaseError(
                f"its conditioner gives texts {conditioner.get('target_dim')} wide, its transformer takes "
                f"{denoiser.get('text_embed_dim')}.",
                where=evidence.path,
                hint="Take all parts from one model.",
            )
        texts = (
            TextStructure("text_encoder", qwen),
            TextStructure(CONDITIONER, {"num_hidden_layers": conditioner["num_layers"], **conditioner}),
        )
        return Structure(self, denoiser, vae, texts, evidence=evidence)

    def targets(self, denoiser: Mapping[str, Any], depths: Sequence[int]) -> dict[str, TargetLayer]:
        found = [
            _denoiser_layer(f"blocks.{index}.{name}", f"transformer_blocks.{index}.{path}", group, f"B{index:02}")
            for index in range(int(denoiser["num_layers"]))
            for name, path, group in BLOCK
        ]
        qwen, conditioner = self.text
        found += qwen_targets(qwen.owner, qwen.prefix, depths[0])
        for index in range(depths[1]):
            for tail, group in CONDITIONING:
                path = f"blocks.{index}.{tail}"
                name = f"{conditioner.prefix}_{underscored(path)}"
                found.append(TargetLayer(name, "te", "linear", group, conditioner.owner, path, "TE"))
        return {target.name: target for target in found}

    def end_targets(self, targets: Collection[TargetLayer]) -> list[TargetLayer]:
        blocks = dict.fromkeys(each.block for each in targets if each.owner == self.denoiser_part)
        modulation = [
            _denoiser_layer(
                f"blocks.{int(block[1:])}.adaln_modulation_{kind}.{number}",
                f"transformer_blocks.{int(block[1:])}.{norm}.linear_{number}",
                "ends",
                block,
            )
            for block in blocks
            for kind, norm in MODULATION
            for number in (1, 2)
        ]
        ends = [_denoiser_layer(name, path, "ends", "BASE") for name, path in ENDS] if blocks else []
        return [*modulation, *ends]

    def public_layers(self) -> dict[str, TargetLayer]:
        return self.layers(self.targets({"num_layers": 28}, _PUBLIC_DEPTHS))

    def public_size(self, target: TargetLayer) -> tuple[int, int]:
        """Widths are the model's, but for the conditioner's: every one's cross attention reads 1024 numbers a token."""
        reads_text = target.path.endswith(("attn2.to_k", "attn2.to_v"))
        return 0, _TEXT_WIDTH if reads_text else 0

    def load(self, structure: Structure, dtype: torch.dtype, weights: Weights) -> Parts:
        from lorasmith.bases.families.anima_parts import read_file, read_parts

        return (read_parts if structure.evidence.header is None else read_file)(structure, dtype, weights)

    def sources(self, structure: Structure, owner: str, keys: Collection[str]) -> Mapping[str, Source]:
        return file_sources(structure, owner, keys)

    def prompt_encoder(self, encoders: Sequence[TextEncoder]) -> PromptEncoder:
        from lorasmith.bases.text.conditioned import ConditionedPromptEncoder

        return ConditionedPromptEncoder(encoders[0], encoders[-1])  # where words are counted there is one alone

    def tokenizer(self, path: Path) -> Any:
        if path.is_file():
            from lorasmith.bases.shipped import plain_beside

            conditioner = examine_file(self, read_evidence(path)).text[1].config
            return plain_beside(path, "t5_tokenizer", conditioner["target_vocab_size"])
        return open_tokenizer(path, "t5_tokenizer")

    def denoise(
        self,
        models: Models,
        x_t: Tensor,
        moment: Tensor,
        context: Context,
        framings: Sequence[Framing],  # noqa: ARG002 - it is told no sizes
    ) -> Tensor:
        from lorasmith.bases.families.anima_parts import denoise

        return denoise(models.denoiser, x_t, moment, context)

    def latent_shape(self, models: Models, size: tuple[int, int]) -> tuple[int, ...]:
        width, height = (side // self.vae_factor(models) for side in size)
        return (int(models.vae.config.z_dim), 1, height, width)

    def encode_images(self, models: Models, pixels_BCHW: Tensor) -> Tensor:
        from lorasmith.bases.families.latents import encode

        return encode(models.vae, pixels_BCHW.unsqueeze(2))

    def decode_latents(self, models: Models, latents: Tensor) -> Tensor:
        from lorasmith.bases.families.latents import decode

        return decode(models.vae, latents)[:, :, 0]

    def vae_factor(self, models: Models) -> int:
        return int(2 ** len(models.vae.config.temperal_downsample))

    def stages(self, denoiser: nn.Module) -> list[nn.Module]:
        return list(denoiser.get_submodule("transformer_blocks").children())


def _denoiser_layer(name: str, path: str, group: Group, block: str) -> TargetLayer:
    return TargetLayer(
        f"lora_unet_{underscored(name)}", "unet", "linear", group, "transformer", path, block, aliases=(name,)
    )


_VALUES = {
    "resolution": 1024,
    "bucket": {"step": 64},
    "batch_size": 2,
    "target_steps": 1500,
    "rank": 16,
    "alpha": 16,
    "lr": {"unet": 1e-4, "text_encoder": 0.0},
    "optimizer": {"name": "adamw"},
    "schedule": {"name": "constant", "warmup": 50},
    "timesteps": {"sampling": "sigmoid"},
    "caption": {"shuffle": True, "keep_tokens": 1},
    "save_every": "150 steps",
}
_REASONS = (
    "rank 16, alpha 16, 1500 steps: between kohya's 8 and ai-toolkit's 32; Civitai's trainer takes as many steps",
    "lr 1e-4 on attention and MLP, the text encoder and its conditioner frozen: what kohya's trainer and ai-toolkit "
    "go by",
    "times by the sigmoid of a normal number, shift 1: kohya's defaults for Anima",
)
_NORMAL = {"sampling": "logit_normal", "mean": 0.0, "std": 1.0, "shift": 1.0}
_TIMES = {
    "kohya": TrainerTimes({"sampling": "sigmoid", "std": 1.0, "shift": 1.0}, "docs/anima_train_network.md"),
    # "weighted": its weights of the loss are not taken.
    "ai-toolkit": TrainerTimes({"sampling": "uniform", "shift": 1.0}, "ui/src/app/jobs/new/options.tsx, anima"),
    "OneTrainer": TrainerTimes(_NORMAL, "training_presets/Anima"),
    "diffusion-pipe": TrainerTimes(_NORMAL, "models/cosmos_predict2.py, prepare_inputs"),
}

ANIMA = AnimaFamily(
    name="anima",
    denoiser_class=_CLASS,
    title="Anima",
    # Operations: two a weight and token of 16 x 16 pixels. Others: docs/performance.md.
    cost=FamilyCost(
        1.55e7,
        1.13e10,
        2.9e4,
        1_434_000,
        1_100_000,
        2_000,
        20_000,
        0.25,
        0.0005,
        counted=Counts(
            denoiser=1956.4e6,
            text=730.7e6,
            vae=126.9e6,
            small_denoiser=1937.8e6,
            small_text=541.1e6,
            blocks=28,
            block_weights=1937.8e6,
            kept=PerRow(13958.6, 3.44e08),
            inputs=PerRow(465.0, 1.07e06),
            largest=PerRow(502.3, 1.33e07),
        ),
    ),
    presets={"*": Preset(_VALUES, _REASONS)},
    cfg=4.0,
    resolution=1024,
    text=(
        TextPart("text_encoder", "lora_te", "tokenizer", _TEXT_WIDTH, ("text_encoders.qwen3_06b.transformer.model",)),
        TextPart(CONDITIONER, "lora_unet_llm_adapter", "t5_tokenizer", _TEXT_WIDTH),
    ),
    objective="flow",
    denoiser_part="transformer",
    reads_clip_skip=False,
    own_names=("lora_unet_llm_adapter_", "lora_unet_blocks_"),
    version_words=("anima",),
    hub_words=("anima",),
    readers=ANIMA_READERS,
    trainer_words={
        "kohya": ("networks.lora_anima", "qwen3", "llm_adapter_path"),
        "ai-toolkit": ("anima",),
        "onetrainer": ("ANIMA",),
        "diffusion-pipe": ("anima",),
        "hub": ("anima",),
    },
    kept_wide=frozenset({"patch_embed", "time_embed", "norm_out", "proj_out", "embed", "in_proj", "out_proj"}),
    pixel_step=16,
    times=_TIMES,
)
