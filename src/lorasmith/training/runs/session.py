"""One adapter of a run: what it is shown, what it reports, what it leaves on disk."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.events import Done, Event, SampleDrawn, SnapshotSaved, StepDone
from lorasmith.recipe.durations import Moment
from lorasmith.recipe.plan import Plan
from lorasmith.training.inputs.reading import Inputs
from lorasmith.training.rows.batches import Batch, epoch_batches, epoch_steps
from lorasmith.training.runs.event_log import EventLog
from lorasmith.training.runs.folder import Run
from lorasmith.training.runs.metadata import Making, SavedAt, describe_adapter, make_thumbnail
from lorasmith.training.runs.state import SessionState
from lorasmith.training.runs.watch import LossBands, TensorBoard
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.trainer import Trainer
from lorasmith.training.steps.trainer_group import Outcome, StepBatches
from lorasmith.training.steps.validation import Validation

if TYPE_CHECKING:
    from lorasmith.generation.conditioning import TextReader

_LOSS_WINDOW = 100


class RunSession:
    """A run's folder, log and figures beside its trainer. `name` is "" for a run by itself, else the variant's."""

    def __init__(self, name: str, settings: RunSettings, inputs: Inputs, run: Run, base: Base, making: Making) -> None:
        self.name = name
        self.settings = settings
        self.inputs = inputs
        self.run = run
        self.fault: str | None = None
        self.done: Done | None = None
        self._base = base
        self._making = making
        self._losses: deque[float] = deque(maxlen=_LOSS_WINDOW)
        self._bands = LossBands()
        self._epoch: tuple[int, list[Sequence[Batch]]] | None = None
        self._before = Moment(0, 0, 0.0)
        self._sample: Path | None = None
        self.validation: Validation | None = None
        self.class_images: Mapping[str, int] = {}
        self._sample_texts: TextReader | None = None
        self._log: EventLog | None = None
        self._log_size = 0
        self._board: TensorBoard | None = None

    @property
    def plan(self) -> Plan:
        return self.inputs.plan

    @property
    def step(self) -> int:
        return self.trainer.step

    @property
    def is_learning(self) -> bool:
        """Has it neither ended nor failed?"""
        return self.fault is None and self.step < self.plan.steps

    def read_samples(self) -> None:
        """Encode the texts of its samples, while the text encoders are there."""
        if self.settings.saving.samples.prompts:
            from lorasmith.training.runs.samples import read_samples

            self._sample_texts = read_samples(self._base, self.settings.saving.samples)

    def join(self, trainer: Trainer, *, writes: bool) -> None:
        """Take its trainer; `writes`: is this the process that writes files?"""
        self.trainer = trainer
        self._writes = writes

    def restore(self, kept: SessionState, tensors: Mapping[str, Tensor]) -> None:
        """Stand again where the state was taken. Raises TrainingError when it does not fit."""
        self.trainer.restore(kept.step, tensors)
        self._losses.extend(kept.losses)
        self._bands = LossBands(kept.bands)
        self._log_size = kept.events
        self.fault = kept.fault

    def open(self, seconds: float) -> None:
        """Open its log, cut to where the state was taken, after so many seconds of training. Raises StorageError,
        RecipeError."""
        self._before = self._moment(seconds)
        if self._writes:
            self._log = EventLog(self.run.events_file, self._log_size)
            if self.settings.saving.tensorboard:
                self._board = TensorBoard(self.run.path / "tensorboard", self.step)

    def close(self) -> None:
        """Write out what can be written."""
        for each in (self._log, self._board):
            if each is not None:
                each.close()

    def state(self) -> SessionState:
        """All that the state must hold of it, besides tensors."""
        return SessionState(
            step=self.step,
            events=0 if self._log is None else self._log.flush(),
            dataset=self.inputs.fingerprint,
            losses=tuple(self._losses),
            bands=self._bands.state(),
            fault=self.fault,
        )

    def batches(self, later: int = 0) -> StepBatches:
        """What its next step shows, or one so many steps later."""
        epoch, index = divmod(self.step + later, self.plan.steps_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            every = epoch_batches(self.inputs.trained, self.settings.batch_size, self.settings.seed, epoch)
            self._epoch = epoch, epoch_steps(every, self.settings.accumulate)
        return StepBatches(self._epoch[1][index], epoch)

    def note_step(
        self, outcome: Outcome, rates: dict[str, float], eta: float, rows_per_second: float, memory: int
    ) -> StepDone:
        """Take in a step that was done."""
        self._losses.append(outcome.loss)
        self._bands.add(outcome.timesteps, outcome.errors)
        event = StepDone(
            self.step,
            self.plan.steps,
            (self.step - 1) // self.plan.steps_per_epoch,
            outcome.loss,
            rates,
            eta,
            bands=self._bands.means(),
            speed=round(rows_per_second, 3),
            memory=memory,
            variant=self.name,
        )
        self.log(event)
        return event

    def is_validation_due(self, seconds: float) -> bool:
        """Whether the last step reached a time to validate; asked before `is_snapshot_due`."""
        if self.validation is None:
            return False
        return self.settings.saving.validated_every.is_due(self._before, self._moment(seconds))

    def is_snapshot_due(self, seconds: float) -> bool:
        """Whether the last step reached a time to save; asked once a step, `seconds` trained so far."""
        before, self._before = self._before, self._moment(seconds)
        return self.settings.saving.every.is_due(
            replace(before, seconds=min(before.seconds or seconds, seconds)), self._before
        )

    def save_snapshot(self, seconds: float, started_at: float) -> Iterator[Event]:
        """Save the adapter as it is now, drop snapshots that are too many, draw the samples."""
        if not self._writes:
            return
        now = self._moment(seconds)
        by_epoch = self.settings.saving.every.unit == "epochs"
        label = f"{now.epoch:06d}" if by_epoch else f"step{now.step:08d}"
        path = self._save(self.run.snapshot_file(label), started_at)
        yield self.log(SnapshotSaved(path, now.step, now.epoch))
        if self.settings.saving.keep_last:
            for old in self.run.snapshots()[: -self.settings.saving.keep_last]:
                old.unlink(missing_ok=True)
        if not self.settings.saving.samples.prompts:
            return
        from lorasmith.training.runs.samples import draw_samples

        for event in draw_samples(
            self._base, path, self.run.samples, now.step, self.settings.saving.samples, self._sample_texts
        ):
            if isinstance(event, SampleDrawn):
                self._sample = event.path
            yield self.log(event)

    def finish(self, seconds: float, started_at: float) -> Done:
        """Save the final adapter; the last event."""
        mean = sum(self._losses) / len(self._losses) if self._losses else 0.0
        self.done = Done(self.run.adapter_file, self.run.path, self.plan.steps, round(seconds, 1), mean)
        if self._writes:
            self._save(self.run.adapter_file, started_at)
            self.log(self.done)
        return self.done

    def log(self, event: Event) -> Event:
        """Write an event into its log."""
        if self._log is not None:
            self._log.append(event)
        if self._board is not None:
            self._board.see(event)
        return event

    def _save(self, path: Path, started_at: float) -> Path:
        now = self._moment(0.0)
        adapter = self.trainer.adapter(self.run.name)
        saved = SavedAt(
            step=now.step,
            epoch=now.epoch,
            started_at=started_at,
            session=uuid.uuid5(uuid.NAMESPACE_OID, f"{self.inputs.fingerprint}{started_at}{self.name}").hex,
            optimizer=self.trainer.optimizer_description,
            class_images=self.class_images,
            thumbnail=""
            if self.settings.saving.private
            else make_thumbnail(self._sample or self.inputs.images[0].path),
        )
        metadata = describe_adapter(self._making, adapter, saved)
        return save_adapter(path, replace(adapter, metadata=metadata))

    def _moment(self, seconds: float) -> Moment:
        return Moment(self.step, self.step // self.plan.steps_per_epoch, seconds)
