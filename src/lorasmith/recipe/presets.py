"""Presets: where a recipe starts, by family of the base and by kind of subject. Keys as in `[recipe]`.

Numbers of real families are those of the domain's rules R4 (character) and R5 (everything else); numbers of the
embedded base were tuned with the exam.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.project import SubjectKind

REAL = {
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
REAL_CHARACTER = {"rank": 16, "alpha": 8, "epochs": 1, "target_steps": 1120, "save_every": "112 steps"}

DOODLE = {
    "resolution": 128,
    "bucket": {"min": 64, "max": 256, "step": 32},
    "batch_size": 4,
    "target_steps": 320,
    "rank": 8,
    "alpha": 8,
    "lr": {"unet": 3e-3, "text_encoder": 4e-3},
    "optimizer": {"name": "adamw"},
    "schedule": {"name": "cosine", "warmup": 20},
    "loss": {"min_snr_gamma": 5},
    "caption": {"shuffle": True, "keep_tokens": 1},
    "preserve": {"kind": "both", "weight": 5.0, "share": 1.0, "pictures": 64, "steps": 8},
    "save_every": "80 steps",
}

DOODLE_CHARACTER = {"lr": {"unet": 4e-3, "text_encoder": 2e-3}}

DOODLE_STYLE = {
    "rank": 16,
    "alpha": 16,
    "conv": {"rank": 8, "alpha": 8},
    "lr": {"unet": 4e-3},
    "preserve": {"weight": 1.0},
}

_REAL_REASONS = (
    "lr 5e-4 and 5e-5, adafactor with fixed rates, cosine with three restarts: what makers of LoRAs go by (R4, R5)",
    "resolution 1024 is an area, not a shape: buckets keep the aspect ratio; 512 costs a quarter on older families",
    "min-SNR 5 evens out the timesteps; noise offset 0.1 lets the adapter learn very dark and very bright pictures",
    "one kept token is the trigger, all others are shuffled, so that no order is learnt (T1)",
    "snapshots every tenth of the run: choose the best with the exam, when in doubt an earlier one (R2, R3)",
)
_DOODLE_PRESERVES = (
    "both kinds of preservation: captions without the trigger, the base's own pictures and the empty prompt stay what "
    "the base draws (C6); as many rows as are learnt"
)
_DOODLE_CALM = "min-SNR 5 evens out the timesteps; the rate falls along a cosine, so that the end is calm"
_REASONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "*": {
        "*": ("rank 8, alpha 4, 1105 steps: a look or an idea needs less room than a person (R5)", *_REAL_REASONS),
        "character": (
            "rank 16, alpha 8, 1120 steps: faces and outfits have many details that must stay apart (R4)",
            *_REAL_REASONS,
        ),
    },
    "doodle": {
        "*": (
            "rank 8, alpha 8, 320 steps, lr 3e-3 and 4e-3 with adamw: measured with the exam on the embedded base; "
            "the text encoder learns fast, for there the trigger is told from all other words",
            _DOODLE_PRESERVES,
            _DOODLE_CALM,
        ),
        "character": (
            "rank 8, alpha 8, 320 steps, lr 4e-3 and 2e-3 with adamw: measured with the exam on the embedded base; "
            "what the text encoder learns too fast costs expressions that no training image shows",
            _DOODLE_PRESERVES,
            _DOODLE_CALM,
        ),
        "style": (
            "rank 16, alpha 16, convolutions too (rank 8), 320 steps, lr 4e-3 with adamw: lines and shapes are what "
            "convolutions draw; measured with the exam on the embedded base",
            "both kinds of preservation, weight 1: a style asks for more change than a person does (C6)",
            _DOODLE_CALM,
        ),
    },
}


def explain_preset(kind: SubjectKind, family: str) -> tuple[str, ...]:
    """Why the preset's values are what they are, a sentence each."""
    table = _REASONS.get(family, _REASONS["*"])
    like = "character" if kind is SubjectKind.COUPLE else kind.value
    return table.get(like, table["*"])


PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # family: {subject kind: what differs from "*"}
    "sd1": {"*": REAL, "character": REAL_CHARACTER, "couple": REAL_CHARACTER},
    "sd2": {"*": REAL | {"clip_skip": 1}, "character": REAL_CHARACTER, "couple": REAL_CHARACTER},
    "sdxl": {"*": REAL, "character": REAL_CHARACTER, "couple": REAL_CHARACTER},
    "doodle": {"*": DOODLE, "character": DOODLE_CHARACTER, "couple": DOODLE_CHARACTER, "style": DOODLE_STYLE},
}


def preset(kind: SubjectKind, family: str) -> dict[str, Any]:
    """The values that a recipe for this kind of subject starts from."""
    table = PRESETS[family]
    return overlay(table["*"], table.get(kind.value, {}))


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above` on top, table by table; without the keys that `above` supersedes."""
    result = dict(below)
    for key in superseded(above):
        result.pop(key, None)
    for key, value in above.items():
        old = result.get(key)
        result[key] = overlay(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def superseded(above: Mapping[str, Any]) -> frozenset[str]:
    """The keys of lower layers that do not hold any more, though `above` does not give them.

    `epochs` and `target_steps` belong together: a layer that gives one of them drops the lower layer's other one,
    so that setting epochs to 4 means four epochs whatever the preset aims at.
    """
    lengths = frozenset(("epochs", "target_steps"))
    given = lengths.intersection(above)
    return lengths - given if given else frozenset()
