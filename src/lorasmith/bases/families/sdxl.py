"""Stable Diffusion XL: two text encoders, 1024 pixels; the UNet is told sizes and the cut, too (Podell et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lorasmith.bases.families.cost import Counts, FamilyCost, PerRow
from lorasmith.bases.families.evidence import Evidence, Prediction
from lorasmith.bases.families.facts import HeaderFacts, TextPart
from lorasmith.bases.families.family import Structure
from lorasmith.bases.families.original import UNET
from lorasmith.bases.families.presets import public_presets
from lorasmith.bases.families.readers import UNET_READERS
from lorasmith.bases.families.single_file import SUPPORTED, StoredText
from lorasmith.bases.families.stable_diffusion import CLIP_G, CLIP_L, StableDiffusion, layout
from lorasmith.diffusion.transfer import send
from lorasmith.errors import BaseError

if TYPE_CHECKING:
    from torch import Tensor

    from lorasmith.bases.framing import Framing
    from lorasmith.bases.text.context import Context
    from lorasmith.bases.text.encoder import PromptEncoder, TextEncoder
    from lorasmith.diffusion.parametrisation import Parametrisation

_WIDTH = 2048
_SECOND = "conditioner.embedders.1.model."


class StableDiffusionXL(StableDiffusion):
    """UNets with size conditions and a second text encoder."""

    def _claims_unet(self, config: Mapping[str, Any], evidence: Evidence) -> bool:
        sized = config.get("addition_embed_type") == "text_time" or config.get("cross_attention_dim") == _WIDTH
        return sized or evidence.has("text_encoder_2")

    def _check_unet(self, config: Mapping[str, Any], evidence: Evidence) -> None:
        if not all(evidence.has(part.owner) for part in self.text):
            raise BaseError("an SDXL model needs text_encoder and text_encoder_2.", where=evidence.path)
        others = {key: value for key, value in config.items() if key != "addition_embed_type"}
        super()._check_unet(others, evidence)

    def _check_conditions(self, labelled: bool, evidence: Evidence) -> None:
        if not labelled:
            raise BaseError("its UNet takes no size conditions, unlike SDXL.", where=evidence.path, hint=SUPPORTED)

    def _conditions(self, evidence: Evidence) -> Mapping[str, Any]:
        conditions = evidence.shapes[f"{UNET}label_emb.0.0.weight"][1]
        pooled = evidence.shapes[f"{_SECOND}text_projection"][1]
        return {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": (conditions - pooled) // 6,
            "projection_class_embeddings_input_dim": conditions,
        }

    def header_facts(self, prediction: str | None = None) -> HeaderFacts:  # noqa: ARG002
        return HeaderFacts(
            "sdxl_base_v1-0",
            "stable-diffusion-xl-v1-base/lora",
            "https://github.com/Stability-AI/generative-models",
        )

    def parametrisation(
        self, structure: Structure, schedule: Mapping[str, Any], prediction: Prediction | None
    ) -> Parametrisation:
        if structure.evidence.header is not None and prediction == "v_prediction":
            # As all SDXL models that predict velocity are trained; a single file does not say so.
            schedule = {**schedule, "rescale_betas_zero_snr": True}
        return super().parametrisation(structure, schedule, prediction)

    def prompt_encoder(self, encoders: Sequence[TextEncoder]) -> PromptEncoder:
        from lorasmith.bases.text.clip import ClipPromptEncoder, encode_two

        return ClipPromptEncoder(encoders, encode_two)

    def _added(self, x_t: Tensor, context: Context, framings: Sequence[Framing]) -> dict[str, Tensor]:
        assert context.pooled is not None, "SDXL needs the pooled text"
        return {"text_embeds": context.pooled, "time_ids": time_ids(x_t, framings)}


def time_ids(x_t: Tensor, framings: Sequence[Framing]) -> Tensor:
    """Micro-conditioning (B, 6): original height and width, crop top and left, target height and width."""
    import torch

    rows = [each.time_ids for each in framings]
    return send(torch.tensor(rows, dtype=x_t.dtype), x_t.device).expand(x_t.shape[0], 6)


SDXL = StableDiffusionXL(
    name="sdxl",
    title="SDXL",
    cost=FamilyCost(
        5.7e6,
        1.4e10,
        1.4e4,
        2_600_000,
        903_000,
        2_000,
        20_000,
        0.25,
        0.0005,
        counted=Counts(
            denoiser=2567.5e6,
            text=817.7e6,
            vae=83.7e6,
            small_denoiser=2558.6e6,
            small_text=714.1e6,
            blocks=86,
            block_weights=2482.2e6,
            kept=PerRow(6814.2, 1.11e08),
            inputs=PerRow(546.9, 1.71e06),
            largest=PerRow(151.4, 1.22e06),
        ),
    ),
    presets=public_presets(),
    cfg=7.0,
    resolution=1024,
    text=(
        TextPart("text_encoder", "lora_te1", "tokenizer", 768, CLIP_L),
        TextPart("text_encoder_2", "lora_te2", "tokenizer_2", 1280, CLIP_G),
    ),
    reads_clip_skip=False,
    text_width=_WIDTH,
    own_names=("lora_te2_", "lora_unet_input_blocks_", "lora_unet_label_emb_"),
    version_words=("sdxl",),
    hub_words=("sdxl", "pony", "illustrious", "noobai"),
    readers=UNET_READERS,
    trainer_words={
        "ai-toolkit": ("sdxl", "is_xl"),
        "onetrainer": ("STABLE_DIFFUSION_XL_10_BASE",),
        "diffusion-pipe": ("sdxl",),
        "hub": ("sdxl",),
    },
    block_layouts={12: layout((4, 5, 7, 8), range(6)), 20: layout(range(9), range(9))},
    public={
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
    },
    public_depths=(12, 32),
    stability_names=True,
    labelled=True,
    stored=(
        StoredText("text_encoder", "conditioner.embedders.0.transformer.", "clip"),
        StoredText("text_encoder_2", _SECOND, "open_clip"),
    ),
    latent_scale=0.13025,
    aligned_sigmas=(14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
    vae_upcasts=True,
)
