"""Adafactor (Shazeer & Stern 2018)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import Field

from lorasmith.optimizers.flat import FlatGroup
from lorasmith.optimizers.optimizer import Optimizer, OptimizerEntry, OptimizerOptions, OptimizerWords, describe

if TYPE_CHECKING:
    from torch import Tensor


class AdafactorOptions(OptimizerOptions):
    """Weight decay is 0 whatever stands there."""

    relative: bool = Field(default=False, description="rates of its own, by step and size; lr is then not used")


class Adafactor:
    """Adafactor (Shazeer & Stern 2018, algorithms 4 and 5; clipping threshold 1), as transformers has it.

    With fixed learning rates: ``scale_parameter=False, relative_step=False, warmup_init=False``, which is what
    kohya's users mean (R4); torch's own always scales by the parameter's size. `relative`: without these arguments,
    min(0.01, 1 / sqrt(step)) times the parameter's root mean square (at least 0.001), whatever the rates are.
    """

    _FLOOR = 1e-30
    _SMALLEST = 1e-3

    def __init__(self, groups: Sequence[FlatGroup], *, relative: bool = False) -> None:
        import torch

        self._groups = groups
        self._relative = relative
        self._steps = 0
        self._rows: dict[str, Tensor] = {}
        self._columns: dict[str, Tensor] = {}
        for group in groups:
            for number, (data, _) in enumerate(group.blocks):
                key = f"{group.name}.{number}"
                self._rows[key] = torch.zeros_like(data[..., 0]) if data.dim() > 2 else torch.zeros_like(data)
                if data.dim() > 2:
                    self._columns[key] = torch.zeros_like(data[..., 0, :])
        said = {"scale_parameter": relative, "relative_step": relative, "warmup_init": False}
        self.description = describe("transformers.optimization.Adafactor", said)

    def step(self, rates: Mapping[str, float]) -> None:
        import torch

        self._steps += 1
        decay = 1 - self._steps**-0.8
        with torch.no_grad():
            for group in self._groups:
                for number, (data, grad) in enumerate(group.blocks):
                    self._move(f"{group.name}.{number}", data, grad, decay, rates[group.name])

    def _move(self, key: str, data: Tensor, grad: Tensor, decay: float, rate: float) -> None:
        """A step of the parameters of one shape, (count, *shape)."""
        squares = grad.square() + self._FLOOR
        row = self._rows[key]
        if key in self._columns:
            column = self._columns[key]
            row.lerp_(squares.mean(dim=-1), 1 - decay)
            column.lerp_(squares.mean(dim=-2), 1 - decay)
            rows = (row / row.mean(dim=-1, keepdim=True)).rsqrt().unsqueeze(-1)
            update = grad * rows * column.rsqrt().unsqueeze(-2)
        else:
            row.lerp_(squares, 1 - decay)
            update = grad * row.rsqrt()
        each = (-1, *([1] * (update.dim() - 1)))
        update /= _root_mean_squares(update).clamp(min=1.0).view(each)
        if self._relative:
            sizes = _root_mean_squares(data).clamp(min=self._SMALLEST).view(each)
            data.sub_(update * sizes, alpha=min(1e-2, self._steps**-0.5))
        else:
            data.sub_(update, alpha=rate)

    def state(self) -> dict[str, Tensor]:
        import torch

        rows = {f"row.{key}": value for key, value in self._rows.items()}
        columns = {f"column.{key}": value for key, value in self._columns.items()}
        return rows | columns | {"steps": torch.tensor(self._steps)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        self._steps = int(state["steps"])
        for prefix, slots in (("row", self._rows), ("column", self._columns)):
            for key, value in slots.items():
                value.copy_(state[f"{prefix}.{key}"])

    @contextmanager
    def settled(self) -> Iterator[None]:
        yield


def _root_mean_squares(data: Tensor) -> Tensor:
    """(count,) of data (count, ...)."""
    return data.flatten(1).square().mean(dim=1).sqrt()


def _build(groups: Sequence[FlatGroup], options: AdafactorOptions) -> Optimizer:
    return Adafactor(groups, relative=options.relative)


OPTIMIZER = OptimizerEntry(
    name="adafactor",
    build=_build,
    remembers=1,
    options=AdafactorOptions,
    about="runs with fixed rates, as kohya's args, and without weight decay",
    words=OptimizerWords(
        kohya="Adafactor",
        arguments={"relative_step": "relative", "weight_decay": "weight_decay"},
        beside=lambda options: {} if options.relative else {"scale_parameter": "False", "warmup_init": "False"},
        unused=frozenset(("scale_parameter", "warmup_init", "weight_decay")),
        defaults={"relative_step": True},
        hub="Adafactor",
        hub_adds={"weight_decay": 0.0},
    ),
)
