"""One image of a run: all that training knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lorasmith.recipe.plan import PlannedImage


@dataclass(frozen=True, kw_only=True)
class TrainingImage(PlannedImage):
    """An image where the plan has placed it, with what it says and what it is. Names are unique within a run.

    `sha256` of its file; `plain` is its caption without the trigger; `folder` its group, "" at the root; `mask` a
    picture that says where it counts (None: its own alpha, where masks are used); `held_out`: its loss is
    measured, and it is not trained on.
    """

    sha256: str
    caption: str
    plain: str = ""
    folder: str = ""
    mask: Path | None = None
    held_out: bool = False
