"""One adapter in training: factors, optimizer and the arithmetic of a step. Knows no files and no events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import cast

import torch
from torch import Tensor, nn

from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base
from lorasmith.diffusion.noise import key_generator
from lorasmith.errors import LorasmithError, TrainingError
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.flat import FlatGroup, clip_gradients
from lorasmith.optimizers.rates import RateSchedule
from lorasmith.training.rows.batches import Batch
from lorasmith.training.rows.source import MicroBatch, RowSource
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.averaging import Average
from lorasmith.training.steps.layers import LayerChoice
from lorasmith.training.steps.objective import Loss, Objective
from lorasmith.training.steps.passes import Asking
from lorasmith.training.steps.weight_norm import bound_norms

EXPLODED = 10.0
"""A loss that predicting nothing at all would give about a tenth of; where weights or noise make losses larger from
the first step on, so many times that."""
_HINT = "Lower lr.unet and lr.text_encoder, then start again; the snapshots so far are kept."


class Trainer:
    """Trains one adapter on a frozen base. `step` counts finished steps; between steps all is consistent."""

    def __init__(self, bank: AdapterBank, column: int, settings: RunSettings, rows: RowSource, steps: int) -> None:
        """`bank` holds the `fresh_adapter` of these settings in its `column`."""
        self._settings = settings
        self._rows = rows
        self._bank = bank
        self._column = column
        self._full_rates, factors = group_factors(bank, column, LayerChoice(bank.base, settings.layers))
        self._groups = [FlatGroup(name, some) for name, some in factors.items()]
        table, average, shape = settings.optimizer, settings.average, settings.schedule
        self._optimizer = OPTIMIZERS[table.name].make(self._groups, table.options)
        self._average = Average(self._groups, average.kind, decay=average.decay, share=average.share, steps=steps)
        self._objective = Objective(bank.base, settings.loss)
        self._schedule = RateSchedule(shape.name, steps, shape.warmup, shape.options)
        self._first: float | None = None
        self._ahead: dict[int, tuple[Batch, MicroBatch]] = {}
        self.step = 0
        self.is_whole = True
        """False while a step changes the factors: then nothing may be saved."""

    @property
    def optimizer_description(self) -> str:
        return self._optimizer.description

    def rates(self) -> dict[str, float]:
        """The learning rates of the next step, by group."""
        factor = self._schedule.factor(self.step)
        return {group.name: factor * self._full_rates[group.name] for group in self._groups}

    def read(self, batch: Batch, epoch: int) -> MicroBatch:
        """The rows of a micro-batch of the next step."""
        known = self._ahead.pop(id(batch), None)
        return self._rows.read(batch, epoch) if known is None or known[0] is not batch else known[1]

    def read_ahead(self, batches: Sequence[Batch], epoch: int) -> None:
        """Read what a coming step is shown, while the device still works on this one. Rows are functions of what they
        are of, so that it does not matter when. A fault shows when they are needed."""
        self._ahead.clear()
        with suppress(LorasmithError):
            for batch in batches:
                self._ahead[id(batch)] = batch, self._rows.read(batch, epoch)

    def ask(self, rows: MicroBatch) -> Asking[Loss]:
        """The loss of a micro-batch or of a part of it, to be run with `passes.answer_together`."""
        return self._objective.ask(rows)

    def variation(self) -> torch.Generator:
        """For what the algorithm varies from step to step."""
        return key_generator(self._settings.seed, "variation", self.step)

    @property
    def groups(self) -> Sequence[FlatGroup]:
        """The factors and their gradients."""
        return self._groups

    def finish(self, loss: float) -> None:
        """End a step, once the gradients of its micro-batches are there; `loss` is their mean.

        Raises TrainingError when it is not finite or has exploded; the factors are then as before the step.
        """
        self._penalise()
        norm = clip_gradients(self._groups, self._settings.optimizer.max_grad_norm)
        self._check(loss, float(norm))
        self.is_whole = False
        self._optimizer.step(self.rates())
        self.step += 1
        self._bound()
        self._average.add(self.step)
        self.is_whole = True
        self.forget()

    def forget(self) -> None:
        """Drop the gradients of a step that has ended or that is begun anew."""
        for group in self._groups:
            group.grad.zero_()

    def adapter(self, name: str) -> Adapter:
        """The adapter as it is now; a copy."""
        with self._optimizer.settled(), self._average.applied():
            return self._bank.adapter(self._column, name, {})

    def tensors(self) -> dict[str, Tensor]:
        """All that changes from step to step, by name."""
        factors = {f"factors.{group.name}": group.data for group in self._groups}
        memory = {f"optimizer.{key}": value for key, value in self._optimizer.state().items()}
        average = {f"average.{key}": value for key, value in self._average.state().items()}
        first = {} if self._first is None else {"first loss": torch.tensor(self._first)}
        return factors | memory | average | first

    def restore(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Stand again where `tensors` were taken, after `step` steps. Raises TrainingError when they do not fit."""
        for group in self._groups:
            saved = tensors.get(f"factors.{group.name}")
            if saved is None or saved.shape != group.data.shape:
                raise TrainingError("the saved state does not fit this recipe and base.")
            group.data.copy_(saved)
        for prefix, keeper in (("optimizer.", self._optimizer), ("average.", self._average)):
            keeper.load({key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)})
        self._first = float(tensors["first loss"]) if "first loss" in tensors else None
        self.step = step

    def _penalise(self) -> None:
        """The gradient of the penalty on the norm of all changes, once a step."""
        weight = self._settings.optimizer.delta_norm
        if not weight:
            return
        for _, layer_adapter, place in self._bank.layer_adapters(self._column):
            penalty = weight * layer_adapter.live_factors(place).squared_norm(layer_adapter.layer.weight)
            penalty.backward()  # type: ignore[no-untyped-call]

    def _bound(self) -> None:
        most = self._settings.optimizer.max_weight_norm
        if most:
            found = self._bank.layer_adapters(self._column)
            bound_norms(((each.layer.weight, each.live_factors(place)) for _, each, place in found), most)

    def _check(self, loss: float, norm: float) -> None:
        where = f"step {self.step + 1}"
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingError("the loss or its gradient is no longer a number.", where=where, hint=_HINT)
        self._first = loss if self._first is None else self._first
        if loss > EXPLODED * self._objective.most_weight * max(1.0, self._first):
            began = f"it began at {self._first:.3g}, and about 1 is no knowledge"
            raise TrainingError(f"the loss has exploded to {loss:.3g} ({began}).", where=where, hint=_HINT)


def group_factors(
    bank: AdapterBank, column: int, choice: LayerChoice
) -> tuple[dict[str, float], dict[str, list[nn.Parameter]]]:
    """The full learning rates and the trained tensors by group."""
    rates: dict[str, float] = {}
    factors: dict[str, list[nn.Parameter]] = {}
    for name, layer_adapter, place in bank.layer_adapters(column):
        near = layer_adapter.live_factors(place).near_output
        for field, parameter in cast(nn.ParameterDict, layer_adapter.trained[place]).items():
            group, rate = choice.group(name, field in near)
            rates[group] = rate
            factors.setdefault(group, []).append(parameter)
    return rates, factors


def fresh_adapter(base: Base, settings: RunSettings) -> Adapter:
    """The adapter that a run starts from. Raises RecipeError, AdapterError."""
    network = settings.network
    return new_adapter(
        base,
        name="training",
        algorithm=network.algorithm,
        rank=network.rank,
        alpha=network.alpha,
        conv_rank=network.conv_rank,
        conv_alpha=network.conv_alpha,
        text_encoder=network.trains_text,
        fit=LayerChoice(base, settings.layers).fit,
        generator=key_generator(settings.seed, "factors"),
        groups=network.groups,
        options=network.options,
        tucker=network.tucker,
        dora=network.dora,
        rank_stabilised=network.rank_stabilised,
        norms=network.norms,
    )
