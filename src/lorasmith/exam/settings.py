"""The [exam] table of lora.toml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from lorasmith.bases.precision import Precision, Weights
from lorasmith.errors import ExamError
from lorasmith.project import Project
from lorasmith.schema import TableModel, read_table


class ExamTable(TableModel):
    """[exam]: what is asked, how many pictures answer, and how they are drawn. Every key has a default."""

    identity: tuple[str, ...] = ()
    """Tags that make up the subject. Empty: found in the training images (what the captions leave out)."""
    ask: tuple[str, ...] = ()
    """Tags never trained with the subject, for flexibility. Empty: from the base's own world, if it has one."""
    judge: str = "exact"
    """"exact" (the embedded base only) or the folder of a tagger in the WD14 layout."""
    likeness: str = "auto"
    """What tells whether a picture is like the training images: "auto" (a layer inside the judge's tagger), a folder or
    hub id of an ONNX image encoder (CLIP, DINO, CCIP), or "none"."""
    questions: str | None = None
    """A question sheet (TOML) in place of the questions that are found by themselves."""
    pictures: int = Field(400, ge=8, le=100_000)
    """Pictures for the hit rate; flexibility and leakage take a quarter each, unless given."""
    flexibility_pictures: int | None = Field(None, ge=4, le=100_000)
    leakage_pictures: int | None = Field(None, ge=4, le=100_000)
    override_pictures: int | None = Field(None, ge=0, le=100_000)
    """Prompts that contradict a trait; None: an eighth of `pictures`."""
    window_pictures: int | None = Field(None, ge=0, le=100_000)
    """Pictures at each strength of the window, half as many again for flexibility; None: a sixteenth of `pictures`."""
    stacking_pictures: int = Field(16, ge=0, le=100_000)
    """Pictures of each way to combine two adapters; 0: no stacking."""
    beside: tuple[str, ...] = ()
    """Other adapter files to stack with, besides those of the shipped examples (on the embedded base)."""
    candidates: int = Field(6, ge=1, le=64)
    """At most so many snapshots enter the choice, evenly spaced, the last one always."""
    average: bool = True
    """Whether the mean of the last snapshots is a candidate, too."""
    strength: float | None = Field(None, gt=0, le=4)
    """The strength at which everything is measured; None: the one that the window recommends."""
    window: tuple[float, ...] = (0.4, 0.6, 0.8, 1.0, 1.2)
    """Strengths of the window; where it still rises at the last one it goes on."""
    strengths: tuple[float, ...] = (0.6, 0.8, 1.0)
    """Columns of the report's grid."""
    grid_steps: int = Field(20, ge=1, le=1000)
    """Steps of the grid's pictures, which people look at; those of `steps` are for the judge."""
    steps: int = Field(12, ge=1, le=1000)
    sampler: str = "DPM++ 2M"
    cfg: float | None = Field(None, ge=0, le=100)
    """None: the base's own default."""
    clip_skip: int | None = Field(None, ge=1, le=12)
    """None: as the recipe trained it."""
    precision: Precision = "auto"
    """Numbers of the base: bf16 where the GPU, or the CPU, is fast with them; or fp32, bf16, fp16."""
    weights: Weights = "full"
    """The base's weights in memory: full, or fp8 or int8 with a byte each."""
    seed: int = Field(20_000, ge=0, lt=2**31)

    @property
    def flexibility_count(self) -> int:
        return self.flexibility_pictures or max(8, self.pictures // 4)

    @property
    def leakage_count(self) -> int:
        return self.leakage_pictures or max(8, self.pictures // 4)

    @property
    def untriggered_count(self) -> int:
        return max(8, self.leakage_count // 2)

    @property
    def override_count(self) -> int:
        return max(8, self.pictures // 8) if self.override_pictures is None else self.override_pictures

    @property
    def window_count(self) -> int:
        return max(8, self.pictures // 16) if self.window_pictures is None else self.window_pictures

    @property
    def base_count(self) -> int:
        """Hit questions that the bare base answers, too; likeness and whole pictures are measured by these."""
        return min(self.pictures, max(8, self.pictures // 4))


def read_settings(project: Project, overrides: Mapping[str, Any] | None = None) -> ExamTable:
    """[exam] of `project` overlaid with `overrides`. Raises ExamError naming every fault."""
    values = {**project.table("exam"), **(overrides or {})}
    return read_table(ExamTable, values, where=project.where("exam"), error=ExamError)
