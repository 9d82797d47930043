"""Trainers that step together over one frozen base: one for a run, many for a sweep.

All rows of a step, whoever they are for, are packed into as few passes as memory allows. The gradient of an adapter
comes from its own rows alone, so that each learns what it would have learnt by itself, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base
from lorasmith.bases.compiled import CompiledDenoiser
from lorasmith.diffusion.timesteps import whole_timesteps
from lorasmith.errors import TrainingError
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.rows.batches import Batch
from lorasmith.training.rows.source import MicroBatch, RowSource
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.objective import Loss
from lorasmith.training.steps.passes import Passes, answer_together
from lorasmith.training.steps.process_group import ALONE, ProcessGroup
from lorasmith.training.steps.trainer import Trainer
from lorasmith.training.steps.validation import HeldOutLoss, Validation

AGREES = 0.05
"""So far apart may gradients be that only round otherwise: in bf16 some hundredths."""


@dataclass(frozen=True)
class StepBatches:
    """What one trainer of a group is shown in a step: its micro-batches, of this epoch."""

    batches: Sequence[Batch]
    epoch: int


@dataclass(frozen=True)
class Outcome:
    """Of a step of one trainer: the mean loss over its micro-batches; each row's timestep and unweighted error.

    `fault`: why its factors are as before the step, if they are.
    """

    loss: float
    timesteps: tuple[int, ...]
    errors: tuple[float, ...]
    fault: TrainingError | None = None


class TrainerGroup:
    """Trains `adapters` by their `settings`, one a column of a bank; `beneath` acts on the base in the meantime.

    `most_rows` go through the base at once (None: all). What concerns factors alone, not rows, is no matter of a pass
    and belongs into `Trainer.finish`.
    """

    def __init__(
        self,
        base: Base,
        adapters: Sequence[Adapter],
        settings: Sequence[RunSettings],
        rows: Sequence[RowSource],
        steps: Sequence[int],
        conditioner: Conditioner,
        *,
        beneath: Adapter | None = None,
        processes: ProcessGroup = ALONE,
    ) -> None:
        self._bank = AdapterBank(base, adapters, trainable=True)
        self._beneath = None if beneath is None else AdapterBank(base, [beneath])
        self._passes = Passes(base, self._bank, conditioner)
        self._untried = CompiledDenoiser(base.denoiser) if settings[0].compiles else None
        self.caution: str | None = None
        """Why what was asked for is not done."""
        self._processes = processes
        self.most_rows: int | None = None
        self.trainers = [
            Trainer(self._bank, column, each, source, count)
            for column, (each, source, count) in enumerate(zip(settings, rows, steps, strict=True))
        ]

    @property
    def is_whole(self) -> bool:
        """False while a step changes factors: then nothing may be saved."""
        return all(trainer.is_whole for trainer in self.trainers)

    @property
    def reads_ahead(self) -> bool:
        """Whether the next step's rows can be read while the device works on this one's."""
        return self._bank.base.device.type != "cpu"

    def advance(
        self, batches: Mapping[int, StepBatches], ahead: Mapping[int, StepBatches] | None = None
    ) -> dict[int, Outcome]:
        """One step of the trainers that are shown batches, by their number. What explodes is named, and does not move.
        `ahead` is what the next step shows, to be read meanwhile.

        Raises torch's error when memory does not suffice; no factors have changed then.
        """
        self._bank.vary(*(trainer.variation() for trainer in self.trainers))
        try:
            with self._bank.attached(self._beneath):
                tally = self._learn_all(batches)
                if self._untried is not None:
                    tally = self._try_compiled(self._untried, batches, tally)
                    self._untried = None
                for number, each in (ahead or {}).items():
                    self.trainers[number].read_ahead(each.batches, each.epoch)
        except BaseException:
            for trainer in self.trainers:
                trainer.forget()
            raise
        self._processes.sum([group.grad for number in batches for group in self.trainers[number].groups])
        outcomes = tally.outcomes(batches, self._processes)
        return {number: self._finish(number, outcome) for number, outcome in outcomes.items()}

    def _finish(self, number: int, outcome: Outcome) -> Outcome:
        try:
            self.trainers[number].finish(outcome.loss)
        except TrainingError as fault:
            self.trainers[number].forget()
            return replace(outcome, fault=fault)
        return outcome

    def largest(self, batches: Mapping[int, StepBatches]) -> int:
        """The most rows that a pass of this step has."""
        packs = (
            sum(part.rows for part in together.values())
            for turn in range(max(len(each.batches) for each in batches.values()))
            for together in pack_rows(self._shown(batches, turn), self.most_rows)
        )
        return max(packs, default=0)

    def _shown(self, batches: Mapping[int, StepBatches], turn: int) -> dict[int, MicroBatch]:
        """This process's share of the `turn`-th micro-batch of each trainer."""
        parts: dict[int, MicroBatch] = {}
        for number, each in batches.items():
            if turn < len(each.batches):
                part = self._processes.part(self.trainers[number].read(each.batches[turn], each.epoch))
                if part is not None:
                    parts[number] = part
        return parts

    def validate(self, number: int, validation: Validation) -> tuple[HeldOutLoss, HeldOutLoss]:
        """The loss of a trainer's adapter on held-out images, and the base's."""
        with self._bank.attached(self._beneath):
            return answer_together({number: validation.ask()}, self._passes)[number]

    def _learn_all(self, batches: Mapping[int, StepBatches]) -> _Tally:
        """The gradients of a step."""
        tally = _Tally()
        for turn in range(max(len(each.batches) for each in batches.values())):
            self._learn(batches, turn, tally)
        return tally

    def _try_compiled(self, compiled: CompiledDenoiser, batches: Mapping[int, StepBatches], plain: _Tally) -> _Tally:
        """The first step again with compiled passes, which are kept if they give the gradients that plain ones gave:
        compilers are wrong now and then, and a run that learns something else would not show it."""
        groups = [group for number in batches for group in self.trainers[number].groups]
        right = [group.grad.clone() for group in groups]
        for group in groups:
            group.grad.zero_()
        self._passes.compiled = compiled
        try:
            tally = self._learn_all(batches)
        except BaseException:
            self._passes.compiled = None
            raise
        apart = max(_apart(group.grad, grad) for group, grad in zip(groups, right, strict=True))
        if apart <= AGREES:
            return tally
        self._passes.compiled = None
        for group, grad in zip(groups, right, strict=True):
            group.grad.copy_(grad)
        self.caution = (
            f"compile = true: compiled passes give other gradients here ({apart:.0%} away), so that the run goes on "
            "with plain ones."
        )
        return plain

    def _learn(self, batches: Mapping[int, StepBatches], turn: int, tally: _Tally) -> None:
        """The gradients of the `turn`-th micro-batch of each trainer."""
        for together in pack_rows(self._shown(batches, turn), self.most_rows):
            asking = {number: self.trainers[number].ask(part) for number, part in together.items()}
            losses = answer_together(asking, self._passes)
            totals = [loss.total / len(batches[number].batches) for number, loss in losses.items()]
            whole = torch.stack(totals).sum()
            if whole.requires_grad:  # not where dropout.module left every layer out
                whole.backward()  # type: ignore[no-untyped-call]
            for number, loss in losses.items():
                tally.add(number, loss, whole_timesteps(together[number].learned.t))


def _apart(one: Tensor, other: Tensor) -> float:
    """How far apart two gradients are, as a share of the second one."""
    size = float(torch.linalg.vector_norm(other))
    far = float(torch.linalg.vector_norm(one - other))
    return far / size if size else far


class _Tally:
    """Losses of a step, gathered without waiting for the device."""

    def __init__(self) -> None:
        self._learned: dict[int, list[Tensor]] = {}
        self._errors: dict[int, list[Tensor]] = {}
        self._timesteps: dict[int, list[Tensor]] = {}

    def add(self, number: int, loss: Loss, timesteps: Tensor) -> None:
        self._learned.setdefault(number, []).append(loss.learned.detach())
        self._errors.setdefault(number, []).append(loss.rows.detach())
        self._timesteps.setdefault(number, []).append(timesteps)

    def outcomes(self, batches: Mapping[int, StepBatches], processes: ProcessGroup) -> dict[int, Outcome]:
        zero = torch.zeros(())
        sums = torch.stack([torch.stack(self._learned.get(number, [zero])).sum().cpu() for number in batches])
        processes.sum([sums])
        return {
            number: Outcome(
                float(total) / len(each.batches),
                tuple(torch.cat(self._timesteps.get(number, [zero.view(1)[:0].long()])).tolist()),
                tuple(torch.cat(self._errors.get(number, [zero.view(1)[:0]])).tolist()),
            )
            for (number, each), total in zip(batches.items(), sums, strict=True)
        }


def pack_rows(shown: Mapping[int, MicroBatch], most: int | None) -> Iterator[dict[int, MicroBatch]]:
    """The micro-batches by trainer in passes of at most `most` rows each, cut into parts where one is larger."""
    if most is None:
        if shown:
            yield dict(shown)
        return
    together: dict[int, MicroBatch] = {}
    rows = 0
    for number, whole in shown.items():
        count = -(-whole.rows // most)
        for part in (whole.part(place, count) for place in range(count)):
            if part is None:
                continue
            if together and (rows + part.rows > most or number in together):
                yield together
                together, rows = {}, 0
            together[number] = part
            rows += part.rows
    if together:
        yield together
