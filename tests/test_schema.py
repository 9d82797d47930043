"""Typed tables report every fault at once and suggest the near name."""

import pytest
from pydantic import Field

from lorasmith.errors import ProjectError
from lorasmith.schema import TableModel, read_table


class Rates(TableModel):
    unet: float = Field(default=1e-4, gt=0)
    text_encoder: float = 1e-5


class Settings(TableModel):
    rank: int = Field(default=8, ge=1)
    lr: Rates = Rates()


def test_good_values_are_read() -> None:
    settings = read_table(Settings, {"rank": 4, "lr": {"unet": 0.5}}, where="lora.toml: [recipe]")
    assert (settings.rank, settings.lr.unet, settings.lr.text_encoder) == (4, 0.5, 1e-5)


def test_all_faults_are_reported_together_with_suggestions() -> None:
    with pytest.raises(ProjectError) as fault:
        read_table(Settings, {"rnak": 16, "rank": 0, "lr": {"unett": 1}}, where="lora.toml: [recipe]")
    assert fault.value.field in ("rnak", "rank", "lr.unett")
    lines = str(fault.value).splitlines()
    assert len(lines) == 3
    assert 'lora.toml: [recipe] rnak = 16: unknown key. Did you mean "rank"?' in lines
    assert any("rank = 0" in line and "greater than or equal to 1" in line for line in lines)
    assert any('lr.unett = 1: unknown key. Did you mean "unet"?' in line for line in lines)
