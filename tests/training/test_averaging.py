"""Averages of the steps, written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lorasmith.optimizers.flat import FlatGroup
from lorasmith.training.steps.averaging import Average


def walk(kind: str, steps: int = 8) -> tuple[FlatGroup, Average]:
    """A group whose factors are 1, 2, 3, ... after each step."""
    group = FlatGroup("unet", [nn.Parameter(torch.zeros(3))])
    average = Average([group], kind, decay=0.5, share=0.25, steps=steps)
    for step in range(1, steps + 1):
        group.data.fill_(float(step))
        average.add(step)
    return group, average


def test_the_tail_is_the_mean_of_the_last_quarter() -> None:
    group, average = walk("tail")
    with average.applied():
        torch.testing.assert_close(group.data, torch.full_like(group.data, 7.5))
    assert bool((group.data == 8).all())


def test_ema_forgets_at_its_decay_and_never_knew_the_start() -> None:
    group, average = walk("ema")
    mean = 1.0
    for n in range(2, 9):
        decay = min(0.5, (1 + n) / (10 + n))
        mean = decay * mean + (1 - decay) * n
    with average.applied():
        assert group.data[0].item() == pytest.approx(mean, rel=1e-5)


def test_none_changes_nothing() -> None:
    group, average = walk("none")
    with average.applied():
        assert bool((group.data == 8).all())
    assert average.state() == {}


def test_state_goes_on() -> None:
    whole, kept = walk("ema", 4)
    other = Average([whole], "ema", decay=0.5, share=0.25, steps=8)
    other.load({key: value.clone() for key, value in kept.state().items()})
    for average in (kept, other):
        whole.data.fill_(9.0)
        average.add(5)
    states = kept.state(), other.state()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
