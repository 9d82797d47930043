"""The training loop as a stream of events: prepare, train, save along the way, resume exactly.

A run is a function of its recipe, its dataset and its base: whether it was interrupted, and when, does not show in
the adapter. What must be the same again for that stands in the state, and is checked.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.doodle import world
from lorasmith.bases.world import random_prompts, read_world
from lorasmith.dataset.reading import Dataset, read_dataset
from lorasmith.errors import DatasetError, RecipeError, Stopped, TrainingError
from lorasmith.events import Done, Event, Note, SampleDrawn, SnapshotSaved, StepDone, Work
from lorasmith.project import EMBEDDED, Project
from lorasmith.recipe.durations import Moment
from lorasmith.recipe.estimates import read_pace, work_per_step, write_pace
from lorasmith.recipe.plan import Plan, make_plan
from lorasmith.recipe.recipe import Recipe, differing_keys
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.words import without_trigger
from lorasmith.training.batches import Batch, epoch_batches, epoch_steps
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.interruption import StopWish, heed_interrupts, stoppable
from lorasmith.training.latents import cache_latents
from lorasmith.training.metadata import Making, current_time, describe_adapter, make_thumbnail
from lorasmith.training.preservation import PriorPictures
from lorasmith.training.rows import RowSource
from lorasmith.training.run import EventLog, Run, create_run, latest_run
from lorasmith.training.state import State, load_state, save_state
from lorasmith.training.team import Lesson, Team

PLAIN_PROMPTS = 256
SAVE_SECONDS = 30.0
SAVE_COST = 50
"""The state is saved every so many seconds, or so many times what saving takes, whichever is longer."""
_LOSS_WINDOW = 100
_PACE_WARMUP = 3


@dataclass(frozen=True)
class Material:
    """What is trained on: `captions` by image number of the plan; `fingerprint` of all of it."""

    dataset: Dataset
    plan: Plan
    captions: tuple[str, ...]
    fingerprint: str


def train(
    project: Project,
    recipe: Recipe,
    *,
    run: Path | None = None,
    resume: bool = False,
    base: Base | None = None,
) -> Work[Done]:
    """Train an adapter; its last event, and its result, is `Done`.

    `run` is the run's folder: a new one by default, with `resume` the one started last. A complete run resumes to
    its own Done. Raises Stopped after Ctrl-C, when the state is saved; StorageError on a full disk, TrainingError
    when the loss explodes or the run's material has changed, RecipeError when it shall go on with another recipe:
    the last good state is then on disk.
    """
    with heed_interrupts() as wish:
        material = yield from stoppable(_gather(project, recipe), wish)
        chosen = _choose_run(project, recipe, run) if resume else None
        if resume and chosen is None:
            yield Note("there is no run to go on with: starting a new one.")
        finished = chosen.done_event() if chosen else None
        if chosen is not None and finished is not None:
            yield Note(f"{chosen.path.name} is complete already.")
            done = _done_of(finished)
            yield done
            return done
        base = base or load_base(recipe.base)
        _check_clip_skip(recipe, base)
        current = chosen or create_run(project, recipe, material.plan, run)
        return (yield from _Session(project, recipe, material, current, base, wish).work())


class _Session:
    """One process's share of a run."""

    def __init__(
        self, project: Project, recipe: Recipe, material: Material, run: Run, base: Base, wish: StopWish
    ) -> None:
        self._project = project
        self._recipe = recipe
        self._material = material
        self._plan = material.plan
        self._run = run
        self._base = base
        self._wish = wish
        self._losses: deque[float] = deque(maxlen=_LOSS_WINDOW)
        self._seconds = 0.0
        self._started_at = current_time()
        self._sample: Path | None = None

    def work(self) -> Work[Done]:
        saved = load_state(self._run.state_file) if self._run.state_file.exists() else None
        if saved is not None:
            self._check(saved)
        with _threads(saved.threads if saved else torch.get_num_threads()):
            self._team = yield from stoppable(self._build(), self._wish)
            self._trainer = self._team.trainers[0]
            if saved is not None:
                self._trainer.restore(saved.step, saved.tensors)
                self._losses.extend(saved.losses)
                self._seconds, self._started_at = saved.seconds, saved.started_at
            self._log = EventLog(self._run.events_file, saved.events if saved else 0)
            try:
                return (yield from self._train(saved))
            except (KeyboardInterrupt, GeneratorExit) as stop:
                # Whoever draws the events was interrupted; a step that was under way has not changed the factors.
                if self._trainer.is_whole:
                    self._save_state()
                if isinstance(stop, GeneratorExit):
                    raise
                raise self._stopped() from None
            finally:
                self._log.close()

    def _build(self) -> Work[Team]:
        recipe, plan, base = self._recipe, self._plan, self._base
        latents = yield from cache_latents(
            plan.images,
            [item.facts.sha256 for item in self._material.dataset.items],
            base,
            self._project.cache / "latents",
            flips=recipe.flip,
        )
        conditioner = Conditioner(base, recipe.clip_skip)
        cut = sum(conditioner.is_cut(caption) for caption in self._material.captions)
        if cut:
            yield Note(f"{cut} captions are longer than the 75 tokens that the base reads; the rest is cut.", "warning")
        pool = self._plain_prompts()
        prior = yield from self._draw_prior(pool)
        rows = RowSource(
            recipe,
            plan.images,
            self._material.captions,
            latents,
            trigger=self._project.lora.trigger,
            pool=pool,
            prior=prior,
        )
        return Team(base, [recipe], [rows], [plan.steps], conditioner)

    def _plain_prompts(self) -> tuple[str, ...]:
        """Prompts to preserve: the recipe's, or random ones of the embedded base's world."""
        table = self._recipe.preserve
        if table.prompts or table.kind == "none" or self._base.name != EMBEDDED:
            return table.prompts
        return random_prompts(read_world(world()), PLAIN_PROMPTS, self._recipe.seed)

    def _draw_prior(self, pool: Sequence[str]) -> Work[PriorPictures | None]:
        table = self._recipe.preserve
        if table.kind != "prior":
            return None
        from lorasmith.training.pictures import draw_prior

        trigger = self._project.lora.trigger
        prompts = pool or [without_trigger(caption, trigger) for caption in self._material.captions]
        sizes = [bucket.size for bucket in self._plan.buckets]
        count = -(-table.pictures // len(sizes))
        return (yield from draw_prior(self._base, prompts, sizes, count, self._recipe.seed))

    def _train(self, saved: State | None) -> Work[Done]:
        plan = self._plan
        if saved is not None:
            yield self._told(Note(f"going on after step {saved.step} of {plan.steps}."))
        else:
            self._save_state()
        yield from self._steps()
        self._save_state()
        final = self._save_adapter(self._run.adapter_file)
        done = Done(final, self._run.path, plan.steps, round(self._seconds, 1), self._mean_loss())
        yield self._told(done)
        return done

    def _steps(self) -> Work[None]:
        trainer, plan = self._trainer, self._plan
        due, pace = time.monotonic() + SAVE_SECONDS, _Pace()
        batches: list[Sequence[Batch]] = []
        before = self._moment()
        while trainer.step < plan.steps:
            begun = time.monotonic()
            epoch, index = divmod(trainer.step, plan.steps_per_epoch)
            if not batches or index == 0:
                every = epoch_batches(plan.images, self._recipe.batch_size, self._recipe.seed, epoch)
                batches = epoch_steps(every, self._recipe.accumulate)
            rates = trainer.rates()
            outcome = self._team.advance({0: Lesson(batches[index], epoch)})[0]
            if outcome.fault is not None:
                raise outcome.fault
            loss = outcome.loss
            self._losses.append(loss)
            pace.count(time.monotonic() - begun, _work(self._recipe, batches[index]))
            self._seconds += time.monotonic() - begun
            now = self._moment()
            eta = pace.step_seconds * (plan.steps - trainer.step)
            yield self._told(StepDone(trainer.step, plan.steps, epoch, loss, rates, eta))
            if self._recipe.save_every.is_due(before, now):
                yield from self._save_snapshot(now)
                due = 0.0
            before = now
            if self._wish.wished:
                self._save_state()
                raise self._stopped()
            if time.monotonic() >= due:
                due = self._save_state()
        if pace.known:
            write_pace(self._project.cache, self._recipe.base, pace.per_row_pixel)

    def _save_snapshot(self, now: Moment) -> Iterator[Event]:
        by_epoch = self._recipe.save_every.unit == "epochs"
        label = f"{now.epoch:06d}" if by_epoch else f"step{now.step:08d}"
        path = self._save_adapter(self._run.snapshot_file(label))
        yield self._told(SnapshotSaved(path, now.step, now.epoch))
        if not self._recipe.sample.prompts:
            return
        from lorasmith.training.pictures import draw_samples

        size = self._recipe.resolution
        for event in draw_samples(self._base, path, self._run.samples, now.step, self._recipe.sample, size):
            if isinstance(event, SampleDrawn):
                self._sample = event.path
            yield self._told(event)

    def _save_adapter(self, path: Path) -> Path:
        now = self._moment()
        adapter = self._trainer.adapter(self._run.name)
        making = Making(
            self._project,
            self._recipe,
            self._material.dataset,
            self._plan,
            self._material.captions,
            self._base,
            self._trainer.optimizer_description,
            session=uuid.uuid5(uuid.NAMESPACE_OID, f"{self._material.fingerprint}{self._started_at}").hex,
            started_at=self._started_at,
        )
        thumbnail = make_thumbnail(self._sample or self._plan.images[0].path)
        metadata = describe_adapter(making, adapter, step=now.step, epoch=now.epoch, thumbnail=thumbnail)
        return save_adapter(path, replace(adapter, metadata=metadata))

    def _save_state(self) -> float:
        """Write the state; the time of the monotonic clock when it is due again."""
        begun = time.monotonic()
        state = State(
            step=self._trainer.step,
            seconds=self._seconds,
            events=self._log.flush(),
            threads=torch.get_num_threads(),
            dataset=self._material.fingerprint,
            base=self._base.content_hash,
            started_at=self._started_at,
            losses=tuple(self._losses),
            tensors=self._trainer.tensors(),
        )
        save_state(self._run.state_file, state)
        now = time.monotonic()
        return now + max(SAVE_SECONDS, SAVE_COST * (now - begun))

    def _check(self, saved: State) -> None:
        if saved.dataset != self._material.fingerprint:
            raise TrainingError(
                "the images or captions have changed since this run was started.",
                where=self._run.path,
                hint="Start a new run without --resume, or put them back.",
            )
        if saved.base != self._base.content_hash:
            raise TrainingError(
                f"the base {self._base.name} is not the one that this run was started with.", where=self._run.path
            )

    def _moment(self) -> Moment:
        step = self._trainer.step
        return Moment(step, step // self._plan.steps_per_epoch, self._seconds)

    def _mean_loss(self) -> float:
        return sum(self._losses) / len(self._losses)

    def _told(self, event: Event) -> Event:
        self._log.append(event)
        return event

    def _stopped(self) -> Stopped:
        step, steps = self._trainer.step, self._plan.steps
        return Stopped(
            f"stopped after step {step} of {steps}; the state is saved.",
            where=self._run.path,
            hint=f"Go on with: lorasmith train {self._project.root} --resume",
        )


class _Pace:
    """How fast steps go: measured after the first few, which are slower."""

    def __init__(self) -> None:
        self._steps, self._seconds, self._work = 0, 0.0, 0.0

    def count(self, seconds: float, work: float) -> None:
        self._steps += 1
        if self._steps == _PACE_WARMUP + 1:
            self._seconds, self._work = 0.0, 0.0
        self._seconds += seconds
        self._work += work

    @property
    def known(self) -> bool:
        return self._steps > _PACE_WARMUP

    @property
    def step_seconds(self) -> float:
        return self._seconds / (self._steps - _PACE_WARMUP if self.known else self._steps)

    @property
    def per_row_pixel(self) -> float:
        return self._seconds / self._work


def _gather(project: Project, recipe: Recipe) -> Work[Material]:
    """Read the dataset, write its captions and plan the run. Raises DatasetError, RefusedError."""
    provenance = project.provenance
    if provenance.real_person and not provenance.consent:
        yield Note("[provenance] consent is empty: an adapter of a real person needs theirs.", "warning")
    elif not provenance.source:
        yield Note("[provenance] source is empty: say where the images come from.", "warning")
    dataset = yield from read_dataset(project)
    captioning = write_captions(project, dataset)
    plan = make_plan(recipe, dataset, pace=read_pace(project.cache, recipe.base))
    missing = [item.name for item in dataset.items if item.name not in captioning.captions]
    if missing:
        raise DatasetError(f"no caption for {missing[0]}" + (f" and {len(missing) - 1} more." if missing[1:] else "."))
    captions = tuple(captioning.captions[item.name] for item in dataset.items)
    facts = [
        (image.name, item.facts.sha256, image.repeats, image.bucket, image.resized, caption, *(image.crop or ()))
        for image, item, caption in zip(plan.images, dataset.items, captions, strict=True)
    ]
    return Material(dataset, plan, captions, hashlib.sha256(json.dumps(facts).encode()).hexdigest())


def _choose_run(project: Project, recipe: Recipe, path: Path | None) -> Run | None:
    """The run to go on with; None when there is none. Raises RecipeError when its recipe is another."""
    latest = latest_run(project)
    run = Run(path, latest.name) if path is not None and latest is not None else latest
    if run is None or not run.recipe_file.exists():
        return None
    if differing := differing_keys(run.recipe(), recipe):
        raise RecipeError(
            f"this run was started with another recipe: {'; '.join(differing)}.",
            where=run.path,
            hint="Give the old values to go on, or start a new run without --resume.",
        )
    return run


def _done_of(event: dict[str, object]) -> Done:
    values = {key: event[key] for key in ("steps", "seconds", "loss")}
    return Done(adapter=Path(str(event["adapter"])), run=Path(str(event["run"])), **values)  # type: ignore[arg-type]


def _check_clip_skip(recipe: Recipe, base: Base) -> None:
    layers = min(int(encoder.model.config.num_hidden_layers) for encoder in base.text_encoders)
    if recipe.clip_skip > layers:
        raise RecipeError(f"clip_skip = {recipe.clip_skip}: the text encoder of {base.name} has {layers} layers.")


def _work(recipe: Recipe, batches: Sequence[Batch]) -> float:
    return sum(work_per_step(recipe, len(batch.visits), batch.bucket[0] * batch.bucket[1]) for batch in batches)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with `count` threads: sums are only the same again with the same number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
