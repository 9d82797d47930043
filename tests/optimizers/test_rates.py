"""Learning-rate schedules against transformers' own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import get_scheduler

from lorasmith.optimizers.rates import RateSchedule
from lorasmith.optimizers.schedules import SCHEDULES


@pytest.mark.parametrize("warmup", [0, 7])
@pytest.mark.parametrize(
    ("name", "theirs", "cycles"),
    [
        ("constant", "constant_with_warmup", 1),
        ("linear", "linear", 1),
        ("cosine", "cosine", 1),
        ("cosine_with_restarts", "cosine_with_restarts", 3),
        ("polynomial", "polynomial", 1),
    ],
)
def test_same_as_transformers(name: str, theirs: str, cycles: int, warmup: int) -> None:
    steps = 50
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    power = 2.5 if name == "polynomial" else 1.0
    extra: dict[str, float] | None = {"num_cycles": cycles} if cycles > 1 else None
    extra = {"power": power, "lr_end": 0.0} if name == "polynomial" else extra
    schedule = get_scheduler(theirs, optimizer, warmup, steps, scheduler_specific_kwargs=extra)
    known: dict[str, dict[str, Any]] = {"cosine_with_restarts": {"cycles": cycles}, "polynomial": {"power": power}}
    ours = RateSchedule(name, steps, warmup, SCHEDULES[name].options(**known.get(name, {})))
    for step in range(steps):
        assert ours.factor(step) == pytest.approx(schedule.get_last_lr()[0], abs=1e-12), step
        optimizer.step()
        schedule.step()


def test_warmup_as_a_share() -> None:
    assert RateSchedule("cosine", 200, 0.1).warmup_steps == 20
    assert RateSchedule("cosine", 200, 20).warmup_steps == 20


def test_rex_holds_on_and_falls_at_the_end() -> None:
    """Chen et al. 2022: (1 - p) / (1/2 + (1 - p) / 2)."""
    rex = RateSchedule("rex", 100)
    assert rex.factor(0) == 1
    assert rex.factor(50) == pytest.approx(0.5 / 0.75)
    assert rex.factor(90) == pytest.approx(0.1 / 0.55)
    assert rex.factor(100) == 0
    assert RateSchedule("rex", 110, warmup=10).factor(60) == pytest.approx(0.5 / 0.75)
