"""The [exam] table of lora.toml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from lorasmith.bases.precision import Precision, Weights
from lorasmith.errors import ExamError
from lorasmith.project import Project
from lorasmith.schema import TableModel, read_table

QUICK: Mapping[str, Any] = {
    "pictures": 48,
    "flexibility_pictures": 12,
    "leakage_pictures": 12,
    "override_pictures": 0,
    "window": (0.6, 0.8, 1.0, 1.2),
    "window_pictures": 8,
    "stacking_pictures": 0,
    "candidates": 1,
    "average": False,
}
"""A quick exam: under a minute on the embedded base, with wide intervals."""


class ExamTable(TableModel):
    """[exam]: what is asked, how many pictures answer, and how they are drawn. Every key has a default."""

    identity: tuple[str, ...] = Field(
        (),
        description="tags that make up the subject; empty: found in the training images, which captions leave out",
    )
    ask: tuple[str, ...] = Field(
        (), description="tags never trained with the subject, for flexibility; empty: from the base's own world, if any"
    )
    judge: str = Field("exact", description='"exact" (the embedded base only), or the folder of a tagger')
    likeness: str = Field(
        "auto",
        description='what tells whether a picture is like the training images: "auto" (a layer inside the judge\'s'
        ' tagger), a folder or hub id of an ONNX image encoder (CLIP, DINO, CCIP), or "none"',
    )
    questions: str | None = Field(
        None, description="a question sheet (TOML) in place of the questions that are found by themselves"
    )
    pictures: int = Field(400, ge=8, le=100_000, description="pictures for the hit rate")
    flexibility_pictures: int | None = Field(
        None, ge=4, le=100_000, description="pictures for flexibility; None: a quarter of `pictures`"
    )
    leakage_pictures: int | None = Field(
        None, ge=4, le=100_000, description="pictures without the trigger, for leakage; None: a quarter of `pictures`"
    )
    override_pictures: int | None = Field(
        None, ge=0, le=100_000, description="prompts that contradict a trait; None: an eighth of `pictures`"
    )
    window_pictures: int | None = Field(
        None,
        ge=0,
        le=100_000,
        description="pictures at each strength of the window, and half as many for flexibility; None: a sixteenth of"
        " `pictures`",
    )
    stacking_pictures: int = Field(
        16, ge=0, le=100_000, description="pictures of each way to combine two adapters; 0: no stacking"
    )
    beside: tuple[str, ...] = Field(
        (), description="other adapter files to stack with, besides the shipped examples' (on the embedded base)"
    )
    candidates: int = Field(
        6, ge=1, le=64, description="at most so many snapshots enter the choice, evenly spaced, the last one always"
    )
    average: bool = Field(True, description="whether the mean of the last snapshots is a candidate, too")
    strength: float | None = Field(
        None, gt=0, le=4, description="where everything is measured; None: the strength that the window recommends"
    )
    window: tuple[float, ...] = Field(
        (0.4, 0.6, 0.8, 1.0, 1.2),
        description="strengths of the window; where it still rises at the last one it goes on",
    )
    strengths: tuple[float, ...] = Field((0.6, 0.8, 1.0), description="columns of the report's grid")
    grid_steps: int = Field(20, ge=1, le=1000, description="steps of the grid's pictures, which people look at")
    steps: int = Field(12, ge=1, le=1000, description="steps of the pictures that the judge sees")
    sampler: str = Field("DPM++ 2M", description="by its A1111 name")
    cfg: float | None = Field(None, ge=0, le=100, description="guidance; None: the base's own")
    clip_skip: int | None = Field(None, ge=1, le=12, description="None: as the recipe trained it")
    side: int | None = Field(
        None, ge=64, le=4096, description="width and height of every picture in pixels; None: the base's own"
    )
    precision: Precision = Field(
        "auto", description="numbers of the base: auto is bf16 where the hardware is fast with them; fp32, bf16, fp16"
    )
    weights: Weights = Field("full", description="the base's weights in memory: full, or fp8 or int8 with a byte each")
    blocks_to_swap: int = Field(
        0,
        ge=0,
        description="so many blocks of the denoiser wait in the host's memory until their turn",
    )
    seed: int = Field(20_000, ge=0, lt=2**31, description="of the first picture; the same for every snapshot")

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
