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
    "target_steps": 600,
    "rank": 8,
    "alpha": 8,
    "lr": {"unet": 1e-3, "text_encoder": 3e-4},
    "optimizer": {"name": "adamw"},
    "schedule": {"name": "cosine", "warmup": 20},
    "loss": {"min_snr_gamma": 5},
    "caption": {"shuffle": True, "keep_tokens": 1},
    "preserve": {"kind": "differential", "weight": 1.0, "share": 0.5},
    "save_every": "100 steps",
}

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # family: {subject kind: what differs from "*"}
    "sd1": {"*": REAL, "character": REAL_CHARACTER, "couple": REAL_CHARACTER},
    "sd2": {"*": REAL | {"clip_skip": 1}, "character": REAL_CHARACTER, "couple": REAL_CHARACTER},
    "sdxl": {"*": REAL, "character": REAL_CHARACTER, "couple": REAL_CHARACTER},
    "doodle": {"*": DOODLE},
}


def preset(kind: SubjectKind, family: str) -> dict[str, Any]:
    """The values that a recipe for this kind of subject starts from."""
    table = PRESETS[family]
    return overlay(table["*"], table.get(kind.value, {}))


def overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above` on top, table by table.

    `epochs` and `target_steps` belong together: a layer that gives one of them drops the lower layer's other one,
    so that ``--set epochs=4`` means four epochs whatever the preset aims at.
    """
    result = dict(below)
    for one, other in (("epochs", "target_steps"), ("target_steps", "epochs")):
        if one in above and other not in above:
            result.pop(other, None)
    for key, value in above.items():
        old = result.get(key)
        result[key] = overlay(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
