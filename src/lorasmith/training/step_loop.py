"""The training loop as a stream of events: prepare, train, save along the way, resume exactly.

A run is a function of its recipe, its dataset and its base: whether it was interrupted, and when, does not show in
the adapter. What must be the same again for that stands in the state, and is checked. A sweep is the same loop with
several sessions, whose rows share the passes through the base.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from lorasmith.bases.base import Base
from lorasmith.errors import Stopped, TrainingError
from lorasmith.events import Done, Event, Note, SweepDone, Validated, Work, finish
from lorasmith.project import Project
from lorasmith.remedies import Action, Do, Give, Sentence
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.preparation import cache_texts, make_rows, make_validation
from lorasmith.training.rows.source import RowSource
from lorasmith.training.runs.interruption import StopWish, stoppable
from lorasmith.training.runs.metadata import current_time
from lorasmith.training.runs.run_set import RunSet
from lorasmith.training.runs.session import RunSession
from lorasmith.training.runs.state import State, load_state, save_state
from lorasmith.training.runs.watch import Pace, by_band
from lorasmith.training.settings import RunSettings
from lorasmith.training.steps.memory import (
    asked_memory,
    describe_lack,
    is_lack_of_memory,
    kept_blocks,
    return_memory,
    used_memory,
)
from lorasmith.training.steps.process_group import LostProcessError, ProcessGroup, first_alone
from lorasmith.training.steps.start import read_training_adapter, start_adapter
from lorasmith.training.steps.trainer_group import Outcome, StepBatches, TrainerGroup

T = TypeVar("T")

SAVE_SECONDS = 30.0
RETURN_SECONDS = 5.0
"""So often memory is given back to the system: it takes 3 ms, and between 30 s a small run's pages grew by a half."""
SAVE_COST = 50
"""The state is saved every so many seconds, or so many times what saving takes, whichever is longer."""


class StepLoop:
    """One process's share of a run, of one session or of many."""

    def __init__(
        self,
        project: Project,
        base: Base,
        sessions: Sequence[RunSession],
        wish: StopWish,
        processes: ProcessGroup,
        runs: RunSet,
    ) -> None:
        self._project = project
        self._base = base
        self._sessions = sessions
        self._wish = wish
        self._processes = processes
        self._runs = runs
        self.pace = Pace()
        self._seconds = 0.0
        self._started_at = current_time()

    def work(self) -> Work[Done | SweepDone]:
        """Train all to their end and give the last event: a run's own (yielded already), or a sweep's (not yet)."""
        saved = load_state(self._runs.state_file) if self._runs.state_file.exists() else None
        if saved is not None:
            self._check(saved)
        with _threads(saved.threads if saved else torch.get_num_threads()), kept_blocks():
            self._group = yield from stoppable(first_alone(self._build(), self._processes), self._wish)
            for number, session in enumerate(self._sessions):
                session.join(self._group.trainers[number], writes=self._processes.writes)
            if saved is not None:
                self._restore(saved)
            try:
                yield from self._quietly(self._train(saved))
            except (KeyboardInterrupt, GeneratorExit) as stop:
                # Whoever draws the events was interrupted; a step that was under way has not changed the factors.
                if self._group.is_whole:
                    self._save_state()
                if isinstance(stop, GeneratorExit):
                    raise
                raise self._stopped() from None
            except LostProcessError:
                self._save_state()  # the step that was under way has not changed the factors
                raise
            finally:
                for session in self._sessions:
                    session.close()
        return self._done()

    def _done(self) -> Done | SweepDone:
        done = {session.name: session.done for session in self._sessions if session.done is not None}
        if not self._runs.is_sweep:
            return done[""]
        made = {
            name: {"adapter": str(each.adapter), "run": str(each.run), "loss": each.loss} for name, each in done.items()
        }
        failed = {session.name: session.fault for session in self._sessions if session.fault is not None}
        return SweepDone(self._runs.path, round(self._seconds, 1), made, failed)

    def _build(self) -> Work[TrainerGroup]:
        settings = [session.settings for session in self._sessions]
        fixed = all(each.texts.frozen for each in settings)
        conditioner = Conditioner(self._base, settings[0].text, alone=fixed)
        rows: list[RowSource] = []
        for session in self._sessions:
            each, inputs = session.settings, session.inputs
            rows.append((yield from make_rows(self._project, each, inputs, self._base, conditioner)))
            session.class_images = rows[-1].class_images
            session.validation = yield from make_validation(self._project, each, inputs, self._base)
        if all(each.texts.cached for each in settings):
            for session in self._sessions:
                session.read_samples()
            yield from cache_texts(conditioner, [session.inputs for session in self._sessions], rows)
        self._base.place_denoiser()
        return TrainerGroup(
            self._base,
            [start_adapter(self._base, each, self._project.root) for each in settings],
            settings,
            rows,
            [session.plan.steps for session in self._sessions],
            conditioner,
            beneath=read_training_adapter(self._base, settings[0].network.beneath, self._project.root),
            processes=self._processes,
        )

    def _restore(self, saved: State) -> None:
        for number, (session, kept) in enumerate(zip(self._sessions, saved.sessions, strict=True)):
            prefix = f"{number}."
            tensors = {
                key.removeprefix(prefix): value for key, value in saved.tensors.items() if key.startswith(prefix)
            }
            session.restore(kept, tensors)
        self._seconds, self._started_at = saved.seconds, saved.started_at
        self._group.most_rows = saved.most_rows

    def _train(self, saved: State | None) -> Work[None]:
        for session in self._sessions:
            session.open(self._seconds)
        if saved is not None:
            furthest = max(self._sessions, key=lambda session: session.step)
            note = Note(f"going on after step {furthest.step} of {furthest.plan.steps}.")
            for session in self._sessions:
                session.log(note)
            yield note
        else:
            self._save_state()
        yield from self._steps()
        self._save_state()
        for session in self._sessions:
            if session.fault is None:
                yield session.finish(self._seconds, self._started_at)

    def _steps(self) -> Work[None]:
        due, returned, pace = time.monotonic() + SAVE_SECONDS, time.monotonic(), self.pace
        while learning := {number: session for number, session in enumerate(self._sessions) if session.is_learning}:
            begun = time.monotonic()
            batches = {number: session.batches() for number, session in learning.items()}
            rates = {number: session.trainer.rates() for number, session in learning.items()}
            outcomes = yield from self._advance(batches, self._ahead(learning))
            if self._group.caution is not None:
                yield Note(self._group.caution, "warning")
                self._group.caution = None
            spent = time.monotonic() - begun
            self._seconds += spent
            rows = sum(len(batch.visits) for each in batches.values() for batch in each.batches)
            pace.count(spent, sum(_work(learning[number].settings, each) for number, each in batches.items()), rows)
            remaining = max(session.plan.steps - session.step for session in learning.values())
            eta = pace.step_seconds * remaining
            memory = used_memory()
            # NOTE: every session takes its step in before any event of it: whoever draws the events may end here.
            done = {
                number: session.note_step(outcomes[number], rates[number], eta, pace.rows_per_second, memory)
                for number, session in learning.items()
                if outcomes[number].fault is None
            }
            for number, session in learning.items():
                fault = outcomes[number].fault
                if fault is not None:
                    yield from self._leave_behind(session, fault)
                    continue
                yield done[number]
                if session.validation is not None and session.is_validation_due(self._seconds):
                    ours, base = self._group.validate(number, session.validation)
                    bands, base_bands = by_band(ours.by_timestep), by_band(base.by_timestep)
                    told = Validated(session.step, ours.mean, base.mean, bands, base_bands, session.name)
                    yield session.log(told)
                if session.is_snapshot_due(self._seconds):
                    yield from session.save_snapshot(self._seconds, self._started_at)
                    due = 0.0
            if self._processes.any(self._wish.wished):
                self._save_state()
                raise self._stopped()
            if time.monotonic() >= due:
                due = self._save_state()
            if time.monotonic() >= returned + RETURN_SECONDS:
                returned = time.monotonic()
                return_memory()

    def _ahead(self, learning: Mapping[int, RunSession]) -> dict[int, StepBatches]:
        """What the step after the next one shows, where it can be read before."""
        if not self._group.reads_ahead:
            return {}
        return {
            number: session.batches(later=1)
            for number, session in learning.items()
            if session.step + 1 < session.plan.steps
        }

    def _advance(
        self, batches: Mapping[int, StepBatches], ahead: Mapping[int, StepBatches]
    ) -> Work[dict[int, Outcome]]:
        """A step; where memory does not suffice and the recipe allows it, with fewer rows at once."""
        while True:
            try:
                return self._group.advance(batches, ahead)
            except (RuntimeError, MemoryError) as fault:
                if not is_lack_of_memory(fault):
                    raise
                rows, memory = self._group.largest(batches), self._sessions[0].settings.memory
                error, asked = describe_lack(fault, memory, rows), asked_memory(fault)
            if rows <= 1 or not memory.fits:
                raise error
            self._group.most_rows = -(-rows // 2)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            yield Note(
                f"memory does not suffice for {rows} rows at once ({asked}): going on with "
                f"{self._group.most_rows} at once.",
                "warning",
            )

    def _leave_behind(self, session: RunSession, fault: TrainingError) -> Iterator[Event]:
        """The only session's fault ends the run; others go on without theirs."""
        if len(self._sessions) == 1:
            raise fault
        session.fault = str(fault)
        yield Note(f"{session.name} is left behind: {fault}", "warning")
        if all(other.fault is not None for other in self._sessions):
            raise TrainingError("every variant has failed.", where=self._runs.path, hint=str(fault))

    def _save_state(self) -> float:
        """Write the state; the time of the monotonic clock when it is due again."""
        begun = time.monotonic()
        if self._processes.writes:
            state = State(
                seconds=self._seconds,
                threads=torch.get_num_threads(),
                base=self._base.content_hash,
                started_at=self._started_at,
                sessions=tuple(session.state() for session in self._sessions),
                most_rows=self._group.most_rows,
                tensors={
                    f"{number}.{key}": tensor
                    for number, session in enumerate(self._sessions)
                    for key, tensor in session.trainer.tensors().items()
                },
            )
            save_state(self._runs.state_file, state)
        now = time.monotonic()
        return now + max(SAVE_SECONDS, SAVE_COST * (now - begun))

    def _check(self, saved: State) -> None:
        if len(saved.sessions) != len(self._sessions) or any(
            kept.dataset != session.inputs.fingerprint
            for kept, session in zip(saved.sessions, self._sessions, strict=True)
        ):
            raise TrainingError(
                "the images or captions have changed since this run was started.",
                where=self._runs.path,
                remedy=Sentence("Start a new run without ", Give("resume"), ", or put them back."),
            )
        if saved.base != self._base.content_hash:
            raise TrainingError(
                f"the base {self._base.name} is not the one that this run was started with.", where=self._runs.path
            )

    def _quietly(self, work: Work[T]) -> Work[T]:
        """The work; only the first process yields its events."""
        if self._processes.writes:
            return (yield from work)
        return finish(work)

    def _stopped(self) -> Stopped:
        furthest = max(self._sessions, key=lambda session: session.step)
        return Stopped(
            f"stopped after step {furthest.step} of {furthest.plan.steps}; the state is saved.",
            where=self._runs.path,
            hint="Go on with:",
            remedy=Do(Action.TRAIN, project=self._project.root, resume=True),
        )


def _work(settings: RunSettings, batches: StepBatches) -> float:
    return sum(settings.work(len(batch.visits), batch.bucket[0] * batch.bucket[1]) for batch in batches.batches)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with `count` threads: sums are only the same again with the same number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
