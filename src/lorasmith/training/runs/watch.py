"""What is watched while a run goes: loss per band of timesteps, pace, and TensorBoard's files."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lorasmith.errors import RecipeError
from lorasmith.events import Event, SampleDrawn, StepDone, Validated
from lorasmith.remedies import Install

BANDS = ((0, 249), (250, 499), (500, 749), (750, 999))
_WINDOW = 50
_PACE_WARMUP = 3


class LossBands:
    """The mean unweighted loss of the last rows in each band of timesteps: a falling mean hides which of them fall."""

    def __init__(self, kept: Sequence[Sequence[float]] = ()) -> None:
        self._rows = [deque(values, maxlen=_WINDOW) for values in kept or [()] * len(BANDS)]

    def add(self, timesteps: Sequence[int], losses: Sequence[float]) -> None:
        for t, loss in zip(timesteps, losses, strict=True):
            band = min(t // 250, len(BANDS) - 1)
            self._rows[band].append(round(loss, 6))

    def means(self) -> dict[str, float]:
        """By band, ``"0-249"``; bands without a row yet are left out."""
        return {
            f"{first}-{last}": round(sum(rows) / len(rows), 6)
            for (first, last), rows in zip(BANDS, self._rows, strict=True)
            if rows
        }

    def state(self) -> tuple[tuple[float, ...], ...]:
        """What `LossBands` takes back."""
        return tuple(tuple(rows) for rows in self._rows)


def by_band(losses: Mapping[int, float]) -> dict[str, float]:
    """The means of losses by timestep, by band, ``"0-249"``; bands without any are left out."""
    means = {}
    for first, last in BANDS:
        inside = [loss for t, loss in losses.items() if first <= t <= last]
        if inside:
            means[f"{first}-{last}"] = round(sum(inside) / len(inside), 6)
    return means


class Pace:
    """How fast steps go: measured after the first few, which are slower. `work` is in row-pixels."""

    def __init__(self) -> None:
        self._steps, self._seconds, self._work, self._rows = 0, 0.0, 0.0, 0

    def count(self, seconds: float, work: float, rows: int) -> None:
        self._steps += 1
        if self._steps == _PACE_WARMUP + 1:
            self._seconds, self._work, self._rows = 0.0, 0.0, 0
        self._seconds += seconds
        self._work += work
        self._rows += rows

    @property
    def known(self) -> bool:
        return self._steps > _PACE_WARMUP

    @property
    def step_seconds(self) -> float:
        return self._seconds / (self._steps - _PACE_WARMUP if self.known else self._steps)

    @property
    def per_row_pixel(self) -> float:
        return self._seconds / self._work

    @property
    def rows_per_second(self) -> float:
        return self._rows / self._seconds if self._seconds else 0.0


class TensorBoard:
    """Writes scalars and sample pictures of a run into `folder`. Raises RecipeError when the extra is missing."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        """A resumed run goes on after `step`; what was written past it is dropped by readers."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise RecipeError(
                "tensorboard = true, but TensorBoard is not installed.",
                hint="Install it:",
                remedy=Install("tensorboard"),
            ) from None
        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def see(self, event: Event) -> None:
        if isinstance(event, StepDone):
            self._writer.add_scalar("loss/step", event.loss, event.step)
            for band, loss in (event.bands or {}).items():
                self._writer.add_scalar(f"loss/t_{band}", loss, event.step)
            for group, rate in event.rates.items():
                self._writer.add_scalar(f"rate/{group}", rate, event.step)
            if event.speed is not None:
                self._writer.add_scalar("rows_a_second", event.speed, event.step)
        elif isinstance(event, Validated):
            self._writer.add_scalar("loss/held_out", event.loss, event.step)
            self._writer.add_scalar("loss/held_out_base", event.base, event.step)
        elif isinstance(event, SampleDrawn):
            import numpy as np
            from PIL import Image

            with Image.open(event.path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            self._writer.add_image(event.path.stem.split("-")[-1], pixels, event.step, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()
