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

    identity: tuple[str, ...] = Field(
        (),
        description="tags that make up the subject; empty: found in the training images, which captions leave out",
    )
    ask: tuple[str, ...] = Field(
        (), description="tags never trained with the subject, for flexibility; empty: from the base's own world, if any"
    )
    judge: str = Field("exact", description='"exact" (the embedded base only), or the folder of a tagger')
    pictures: int = Field(400, ge=8, le=100_000, description="pictures for the hit rate")
    flexibility_pictures: int | None = Field(
        None, ge=4, le=100_000, description="pictures for flexibility; None: a quarter of `pictures`"
    )
    leakage_pictures: int | None = Field(
        None, ge=4, le=100_000, description="pictures without the trigger, for leakage; None: a quarter of `pictures`"
    )
    candidates: int = Field(
        6, ge=1, le=64, description="at most so many snapshots enter the choice, evenly spaced, the last one always"
    )
    strength: float = Field(1.0, gt=0, le=4, description="the adapter's strength in what is measured")
    strengths: tuple[float, ...] = Field((0.6, 0.8, 1.0), description="columns of the report's grid")
    grid_steps: int = Field(20, ge=1, le=1000, description="steps of the grid's pictures, which people look at")
    steps: int = Field(12, ge=1, le=1000, description="steps of the pictures that the judge sees")
    sampler: str = Field("DPM++ 2M", description="by its A1111 name")
    cfg: float | None = Field(None, ge=0, le=100, description="guidance; None: the base's own")
    clip_skip: int | None = Field(None, ge=1, le=12, description="None: as the recipe trained it")
    precision: Precision = Field(
        "auto", description="numbers of the base: auto is bf16 where the hardware is fast with them; fp32, bf16, fp16"
    )
    weights: Weights = Field("full", description="the base's weights in memory: full, or fp8 or int8 with a byte each")
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


def read_settings(project: Project, overrides: Mapping[str, Any] | None = None) -> ExamTable:
    """[exam] of `project` overlaid with `overrides`. Raises ExamError naming every fault."""
    values = {**project.table("exam"), **(overrides or {})}
    return read_table(ExamTable, values, where=project.where("exam"), error=ExamError)
