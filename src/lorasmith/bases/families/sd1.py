"""Stable Diffusion 1: one CLIP text encoder, 512 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.bases.families.cost import Counts, FamilyCost, PerRow
from lorasmith.bases.families.evidence import Evidence
from lorasmith.bases.families.facts import HeaderFacts, TextPart
from lorasmith.bases.families.presets import public_presets
from lorasmith.bases.families.readers import UNET_READERS
from lorasmith.bases.families.single_file import StoredText
from lorasmith.bases.families.stable_diffusion import CLIP_L, PLAIN_BLOCKS, StableDiffusion


class StableDiffusion1(StableDiffusion):
    """The rest of the folders with a UNet that is told nothing but text."""

    def _claims_unet(self, config: Mapping[str, Any], evidence: Evidence) -> bool:  # noqa: ARG002
        return True

    def header_facts(self, prediction: str | None = None) -> HeaderFacts:  # noqa: ARG002
        return HeaderFacts("sd_v1", "stable-diffusion-v1/lora")


SD1 = StableDiffusion1(
    name="sd1",
    title="SD 1",
    cost=FamilyCost(
        2.6e6,
        4.3e9,
        7.4e3,
        424_000,
        166_000,
        2_000,
        5_000,
        0.5,
        0.0005,
        counted=Counts(
            denoiser=859.5e6,
            text=123.1e6,
            vae=83.7e6,
            small_denoiser=857.0e6,
            small_text=84.9e6,
            blocks=37,
            block_weights=748.9e6,
            kept=PerRow(3697.2, 1.76e07),
            inputs=PerRow(586.2, 1.72e06),
            largest=PerRow(305.4, 5.58e05),
        ),
    ),
    presets=public_presets(),
    cfg=7.0,
    resolution=512,
    text=(TextPart("text_encoder", "lora_te", "tokenizer", 768, CLIP_L),),
    text_width=768,
    version_words=("sd1",),
    hub_words=("sd 1",),
    readers=UNET_READERS,
    trainer_words={
        "ai-toolkit": ("sd1", "sd15"),
        "onetrainer": ("STABLE_DIFFUSION_15",),
        "hub": ("sd1",),
    },
    public=PLAIN_BLOCKS,
    public_depths=(12,),
    stored=(StoredText("text_encoder", "cond_stage_model.transformer.", "clip"),),
    heads=8,
)
