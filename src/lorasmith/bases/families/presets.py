"""The presets that the families of public models share: the numbers of the domain's rules R4 (character) and R5
(everything else). Keys as in `[recipe]`."""

from __future__ import annotations

from collections.abc import Mapping

from lorasmith.bases.families.facts import Preset

_VALUES = {
    "resolution": 1024,
    "batch_size": 3,
    "epochs": 1,
    "target_steps": 1105,
    "rank": 8,
    "alpha": 4,
    "lr": {"unet": 5e-4, "text_encoder": 5e-5},
    "optimizer": {"name": "adafactor"},
    "schedule": {"name": "cosine_with_restarts", "cycles": 3},
    "loss": {"min_snr_gamma": 5},
    "noise": {"offset": 0.1},
    "clip_skip": 2,
    "caption": {"shuffle": True, "keep_tokens": 1},
    "save_every": "110 steps",
}
_REASONS = (
    "lr 5e-4 and 5e-5, adafactor with fixed rates, cosine with three restarts: what makers of LoRAs go by (R4, R5)",
    "resolution 1024 is an area, not a shape: buckets keep the aspect ratio; 512 costs a quarter on older families",
    "min-SNR 5 evens out the timesteps; noise offset 0.1 lets the adapter learn very dark and very bright pictures",
    "one kept token is the trigger, all others are shuffled, so that no order is learnt (T1)",
    "snapshots every tenth of the run: choose the best with the exam, when in doubt an earlier one (R2, R3)",
)
PERSON = Preset(
    {"rank": 16, "alpha": 8, "epochs": 1, "target_steps": 1120, "save_every": "112 steps"},
    ("rank 16, alpha 8, 1120 steps: faces and outfits have many details that must stay apart (R4)", *_REASONS),
)


def public_presets(**more: object) -> Mapping[str, Preset]:
    """The presets by kind of subject, the general one with `more` values."""
    general = Preset(
        _VALUES | more,
        ("rank 8, alpha 4, 1105 steps: a look or an idea needs less room than a person (R5)", *_REASONS),
    )
    return {"*": general, "character": PERSON, "couple": PERSON}
