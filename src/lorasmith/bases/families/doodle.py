"""Doodle, the embedded base: in the layout of Stable Diffusion 1, small enough for any computer. Its presets were tuned
with the exam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.bases.families.cost import FamilyCost
from lorasmith.bases.families.evidence import Evidence
from lorasmith.bases.families.facts import HeaderFacts, Preset, TextPart
from lorasmith.bases.families.stable_diffusion import CLIP_L, StableDiffusion
from lorasmith.project import EMBEDDED

_CHANNELS, _WIDTH = 8, 128
_PRESERVES = (
    "both kinds of preservation: captions without the trigger, the base's own pictures and the empty prompt stay what "
    "the base draws (C6); as many rows as are learnt"
)
_CALM = (
    "min-SNR 5 evens out the timesteps; the rate falls along a cosine and the last quarter of the steps is averaged, "
    "so that the end is calm"
)
_RANGE = (
    "strengths from 0.6 to 1, a new one for every row: an adapter that acted at 1 alone while it learnt does nothing "
    "at 0.6 and little at 0.8 (C3); rows that preserve the base have 1"
)
_GENERAL = Preset(
    {
        "resolution": 128,
        "bucket": {"min": 64, "max": 256, "step": 32},
        "batch_size": 4,
        "target_steps": 960,
        "rank": 16,
        "alpha": 16,
        "conv": {"rank": 8, "alpha": 8},
        "lr": {"unet": 2.5e-3, "text_encoder": 3e-3},
        "optimizer": {"name": "adamw"},
        "schedule": {"name": "cosine", "warmup": 20},
        "average": {"kind": "tail", "share": 0.25},
        "strength": {"min": 0.6, "preserved": "max"},
        "loss": {"min_snr_gamma": 5},
        "caption": {"shuffle": True, "keep_tokens": 1},
        "preserve": {"kind": "both", "weight": 3.0, "share": 1.0, "pictures": 64, "steps": 8},
        "save_every": "240 steps",
    },
    (
        "rank 16, alpha 16, convolutions too (rank 8), 960 steps, lr 2.5e-3 and 3e-3 with adamw: measured on folders "
        "of strangers whose traits the base has no word for; higher rates burn faces, and linear layers alone draw no "
        "small marks",
        _RANGE,
        _PRESERVES,
        _CALM,
    ),
)
_STYLE = Preset(
    {"preserve": {"weight": 1.0}},
    (
        "rank 16, alpha 16, convolutions too (rank 8), 960 steps, lr 2.5e-3 and 3e-3 with adamw: lines and shapes are "
        "what convolutions draw",
        _RANGE,
        "both kinds of preservation, weight 1: a style asks for more change than a person does (C6)",
        _CALM,
    ),
)


class Doodle(StableDiffusion):
    """Told by its latents' channels and the width of its texts, so that copies and merged ones are Doodle, too."""

    def _claims_unet(self, config: Mapping[str, Any], evidence: Evidence) -> bool:  # noqa: ARG002
        return (config.get("in_channels"), config.get("cross_attention_dim")) == (_CHANNELS, _WIDTH)

    def header_facts(self, prediction: str | None = None) -> HeaderFacts:  # noqa: ARG002
        return HeaderFacts("sd_v1", "stable-diffusion-v1/lora")


DOODLE = Doodle(
    name=EMBEDDED,
    title="Doodle",
    # As measured; the other families' by their operations.
    cost=FamilyCost(4e4, 4.5e7, 3e3, 32_000, 9_600, 29_000, 5_500, 0.2, 0.0035, 1.4, 1.36),
    presets_by_name=True,
    presets={"*": _GENERAL, "style": _STYLE},
    cfg=1.75,  # docs/log.md
    resolution=128,
    text=(TextPart("text_encoder", "lora_te", "tokenizer", _WIDTH, CLIP_L),),
    text_width=_WIDTH,
    version_words=("sd1",),
    public={
        "block_out_channels": (96, 128, 160),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D",) * 3,
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    },
    public_depths=(3,),
)
