"""Durations with their unit: "30 epochs", "1120 steps", "10 minutes"."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNITS = ("epochs", "steps", "minutes")
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Moment:
    """Where a run stands after a step: optimizer steps done, whole epochs done, seconds trained."""

    step: int
    epoch: int
    seconds: float


@dataclass(frozen=True)
class Duration:
    """An amount (> 0) of epochs, steps or minutes. Epochs and steps are whole."""

    amount: float
    unit: str

    def __str__(self) -> str:
        unit = self.unit.removesuffix("s") if self.amount == 1 else self.unit
        return f"{self.amount:g} {unit}"

    def count(self, moment: Moment) -> int:
        """How many times this duration fits into a run up to `moment`."""
        lived = {"epochs": float(moment.epoch), "steps": float(moment.step), "minutes": moment.seconds / 60}[self.unit]
        return int(lived / self.amount)

    def is_due(self, before: Moment, now: Moment) -> bool:
        """Whether a multiple of this duration was reached after `before` and not later than `now`."""
        return self.count(now) > self.count(before)


def read_duration(value: object) -> Duration:
    """The duration that `value` spells. Raises ValueError that says how to write one."""
    if isinstance(value, Duration):
        return value
    if not isinstance(value, str):
        raise ValueError('a duration needs a unit, such as "2 epochs", "100 steps" or "10 minutes".')
    match = _FORM.fullmatch(value)
    units = {unit.removesuffix("s"): unit for unit in UNITS}
    unit = units.get(match[2].lower().removesuffix("s")) if match else None
    if match is None or unit is None:
        raise ValueError('write a number and a unit, such as "2 epochs", "100 steps" or "10 minutes".')
    amount = float(match[1])
    if amount <= 0:
        raise ValueError("must be more than 0.")
    if unit != "minutes" and amount != int(amount):
        raise ValueError(f"{unit} are whole.")
    return Duration(amount, unit)
