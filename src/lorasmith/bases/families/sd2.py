"""Stable Diffusion 2: one OpenCLIP text encoder, 512 or 768 pixels, noise or velocity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.bases.families.cost import FamilyCost
from lorasmith.bases.families.evidence import Evidence
from lorasmith.bases.families.facts import HeaderFacts, TextPart
from lorasmith.bases.families.presets import public_presets
from lorasmith.bases.families.readers import UNET_READERS
from lorasmith.bases.families.single_file import StoredText
from lorasmith.bases.families.stable_diffusion import CLIP_H, PLAIN_BLOCKS, StableDiffusion

_WIDTH = 1024


class StableDiffusion2(StableDiffusion):
    """UNets with linear projections; what reaches them is the text encoder's last layer but one."""

    def _claims_unet(self, config: Mapping[str, Any], evidence: Evidence) -> bool:  # noqa: ARG002
        return bool(config.get("use_linear_projection")) or config.get("cross_attention_dim") == _WIDTH

    def header_facts(self, prediction: str | None = None) -> HeaderFacts:
        if prediction == "v_prediction":
            return HeaderFacts("sd_v2_v", "stable-diffusion-v2-768-v/lora", v2=True)
        return HeaderFacts("sd_v2", "stable-diffusion-v2-512/lora", v2=True)


SD2 = StableDiffusion2(
    name="sd2",
    title="SD 2",
    cost=FamilyCost(2.6e6, 5.2e9, 1.6e4, 430_000, 440_000, 2_000, 18_000, 0.5, 0.0005),
    presets=public_presets(clip_skip=1),
    cfg=7.0,
    resolution=512,
    text=(TextPart("text_encoder", "lora_te", "tokenizer", _WIDTH, CLIP_H),),
    text_width=_WIDTH,
    version_words=("sd2",),
    hub_words=("sd 2",),
    readers=UNET_READERS,
    trainer_words={
        "ai-toolkit": ("sd2", "is_v2"),
        "onetrainer": (
            "STABLE_DIFFUSION_21",
            "STABLE_DIFFUSION_21_BASE",
            "STABLE_DIFFUSION_20",
            "STABLE_DIFFUSION_20_BASE",
        ),
    },
    public={**PLAIN_BLOCKS, "use_linear_projection": True},
    public_depths=(23,),
    # As in diffusers, the last layer, which is not used, is not loaded.
    stored=(StoredText("text_encoder", "cond_stage_model.model.", "open_clip", unused=1),),
)
