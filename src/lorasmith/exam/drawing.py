"""Who draws the answers: rows of (prompt, seed, adapter, strength) in, pictures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lorasmith.adapters.catalogue import name_files
from lorasmith.events import finish

if TYPE_CHECKING:
    from PIL.Image import Image

    from lorasmith.bases.base import Base
    from lorasmith.exam.settings import ExamTable

#: Pictures of one batch. Adapter rows and base rows share batches: the bank gives every row its own strengths.
BATCH = 16


@dataclass(frozen=True)
class Row:
    """One picture to draw; `adapter` None means the bare base, `steps` None the exam's."""

    prompt: str
    seed: int
    adapter: Path | None
    strength: float = 1.0
    steps: int | None = None


class Artist(Protocol):
    """Draws rows, in their order."""

    def draw(self, rows: Sequence[Row]) -> list[Image]: ...


class PipelineArtist:
    """Draws with the product's own pipeline."""

    def __init__(self, base: Base, snapshots: Sequence[Path], settings: ExamTable, clip_skip: int = 1) -> None:
        from lorasmith.adapters.cache import AdapterCache
        from lorasmith.generation.pipeline import Pipeline

        self._names = dict(zip(snapshots, name_files(snapshots), strict=True))
        self._settings = settings
        self._clip_skip = clip_skip
        self._pipeline = Pipeline(base, AdapterCache(snapshots), BATCH, advises=False)

    def draw(self, rows: Sequence[Row]) -> list[Image]:
        from lorasmith.generation.spec import PictureSpec

        chosen = self._settings
        specs = [
            PictureSpec(
                prompt=self._with_network(row),
                seed=row.seed,
                steps=row.steps or chosen.steps,
                cfg=chosen.cfg,
                sampler=chosen.sampler,
                clip_skip=self._clip_skip,
            )
            for row in rows
        ]
        return [picture.image for picture in finish(self._pipeline.draw(specs))]

    def _with_network(self, row: Row) -> str:
        if row.adapter is None:
            return row.prompt
        return f"{row.prompt} <lora:{self._names[row.adapter]}:{row.strength:g}>"
