"""Many specs in, pictures out; each picture has its own prompt, seed, adapters and strengths.

A picture drawn in a batch equals the picture drawn alone, up to rounding. Adapters act on what guides away from the
negative prompt too, as if they were merged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.bases.base import Base
from lorasmith.bases.hardware import precision_of
from lorasmith.errors import UsageError
from lorasmith.events import Note, Progress, Work, eta
from lorasmith.generation.advice import advise_guidance, advise_specs
from lorasmith.generation.batching import BATCH_SIZE, SHARED_BANK, Stepper, Ticket
from lorasmith.generation.conditioning import TextReader
from lorasmith.generation.pictures import Drawing, Picture
from lorasmith.generation.prepare import AdapterSource, PictureTask, Preparer
from lorasmith.generation.previews import Previewer
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts.advice import Adapters, Advice

# From so many pictures with one steady set of adapters on, these are merged: it costs about one pass of a few rows.
MERGE_FROM = 8


class Pipeline:
    """Draws on one base with the adapters of a source. `batch_size` is the number of pictures drawn together.

    With `mixed` pictures with different adapters share batches; without, a batch has one set, and each picture can be
    drawn again from its own file to the bit. With `advises` it says what prompts may not have meant, once each. `texts`
    keeps encoded texts for other pipelines, too.
    """

    def __init__(
        self,
        base: Base,
        adapters: AdapterSource | None = None,
        batch_size: int = BATCH_SIZE,
        mixed: bool = True,
        advises: bool = True,
        texts: TextReader | None = None,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch size {batch_size} is less than 1.")
        self.base = base
        self.preparer = Preparer(base, adapters, texts)
        self.batch_size = batch_size
        self.mixed = mixed
        self._advises = advises
        self._advised: set[Advice] = set()
        self._previewer = Previewer(base)

    @property
    def adapters(self) -> AdapterSource:
        """Where adapters come from."""
        return self.preparer.adapters

    def check(self, spec: PictureSpec) -> None:
        """Raise what drawing this spec would: PromptError, UsageError, AdapterError, RefusedError."""
        self.preparer.prepare(spec)

    def advise(self, specs: Sequence[PictureSpec]) -> Iterator[Note]:
        """What the prompts of these pictures may not have meant, as far as it was not said before."""
        if not self._advises:
            return
        known = self.adapters if isinstance(self.adapters, Adapters) else None
        title = self.base.name
        for advice in (*advise_specs(specs, known), *advise_guidance(specs, title, self.base.cfg)):
            if advice not in self._advised:
                self._advised.add(advice)
                yield Note(advice.message, level="warning", rule=advice.rule)

    def draw(
        self, specs: Sequence[PictureSpec], previews: int = 0, stop: Callable[[], bool] | None = None
    ) -> Work[list[Picture]]:
        """Draw the specs; compatible ones go through the denoiser together. Pictures are in the specs' order.

        All specs are checked before the first one is drawn. Yields progress after each step, and with `previews`
        = n a Preview of each picture every n steps. Closing the work between two steps leaves nothing behind; `stop`
        is asked within a step too, and raises Stopped. Raises PromptError, UsageError, AdapterError, RefusedError.
        """
        loaded: dict[str, Adapter] = {}
        tasks = [self.preparer.prepare(spec, loaded) for spec in specs]
        yield from self.advise(specs)
        batches = self._batches(tasks)
        sets: Counter[object] = Counter(_adapters(task) for task in tasks)
        shared = len({member for task in tasks for member in task.members}) <= SHARED_BANK
        total = sum(max(tasks[index].evaluations for index in batch) for batch in batches)
        pictures: dict[int, Picture] = {}
        done, began = 0, time.monotonic()
        with ExitStack() as lent:
            lent.callback(self.preparer.banks.release)
            for batch in batches:
                together = [tasks[index] for index in batch]
                self.preparer.adapter_set(tasks if shared else together)  # one bank, not one an adapter
                stepper = Stepper(self.base, None, len(batch), previews, self.preparer, self._previewer)
                with self._merging(together[0], self._record(together, sets)) as drawing:
                    for place, (index, task) in enumerate(zip(batch, together, strict=True)):
                        stepper.add_task(task, index, None if drawing is None else replace(drawing, place=place))
                    while len(stepper):
                        step = stepper.step(stop)
                        pictures.update({int(str(ticket)): picture for ticket, picture in step.finished})
                        for ticket, preview in step.previews:
                            yield replace(preview, index=int(str(ticket)))
                        if step.moved:
                            done += 1
                            yield Progress("drawing", done, total, eta(began, done, total))
        return [pictures[index] for index in range(len(tasks))]

    def redraw(self, spec: PictureSpec, drawing: Drawing) -> Work[Picture]:
        """The picture of a spec in a batch of the recorded shape, so that every sum rounds as it did then."""
        task = self.preparer.prepare(spec)
        stepper = Stepper(self.base, None, drawing.rows, 0, self.preparer)
        began = time.monotonic()
        for row in range(drawing.rows):
            stepper.add_task(task, row, replace(drawing, place=row))
        with ExitStack() as merged:
            merged.callback(self.preparer.banks.release)
            if drawing.merged and task.steady:
                adapter_set = self.preparer.adapter_set([task])
                merged.enter_context(adapter_set.merged(task.steady))
            found: dict[Ticket, Picture] = {}
            done = 0
            while len(stepper):
                step = stepper.step()
                found.update(step.finished)
                if step.moved:
                    done += 1
                    yield Progress("drawing", done, task.evaluations, eta(began, done, task.evaluations))
        return found[drawing.place]

    @contextmanager
    def _merging(self, task: PictureTask, drawing: Drawing | None) -> Iterator[Drawing | None]:
        """Merged weights, where they are wanted and serve; gives how pictures are drawn inside."""
        if drawing is None or not drawing.merged:
            yield drawing
            return
        adapter_set, strengths = self.preparer.adapter_set([task]), task.steady or {}
        if not adapter_set.can_merge(strengths):
            yield replace(drawing, merged=False)
            return
        with adapter_set.merged(strengths):
            yield drawing

    def _record(self, batch: Sequence[PictureTask], sets: Mapping[object, int]) -> Drawing | None:
        """How a picture of this batch is drawn; None when that depends on its neighbours' adapters.

        `sets` says how many pictures of the call have the same adapters: many are worth merging, unless
        the base is kept compressed or its blocks are swapped, which merged weights are not.
        """
        adapters = _adapters(batch[0])
        if any(_adapters(task) != adapters for task in batch):
            return None
        merged = bool(batch[0].steady) and sets[adapters] >= MERGE_FROM and self.base.can_merge
        return Drawing(
            rows=len(batch),
            merged=merged,
            threads=torch.get_num_threads(),
            precision=precision_of(self.base.dtype),
            weights=self.base.weights,
        )

    def _batches(self, tasks: Sequence[PictureTask]) -> list[list[int]]:
        """Which specs are drawn together: those that need the same passes; many of one steady set by themselves."""
        groups: dict[object, list[int]] = {}
        for index, task in enumerate(tasks):
            groups.setdefault(_company(task), []).append(index)
        batches: list[list[int]] = []
        for group in groups.values():
            by_set: dict[object, list[int]] = {}
            for index in group:
                by_set.setdefault(_adapters(tasks[index]), []).append(index)
            together: list[int] = []
            for same in by_set.values():
                if self.mixed and len(same) < MERGE_FROM:
                    together += same
                else:
                    batches += self._cut(same)
            batches += self._cut(sorted(together))
        return sorted(batches)

    def _cut(self, group: Sequence[int]) -> list[list[int]]:
        return [list(group[start : start + self.batch_size]) for start in range(0, len(group), self.batch_size)]


def _company(task: PictureTask) -> tuple[object, ...]:
    """Jobs with equal company take the same passes, row by row, from the first step to the last."""
    return (*task.spec.company, *(stage.pattern(task.spec.cfg) for stage in task.stages))


def _adapters(task: PictureTask) -> tuple[object, ...]:
    """The adapters of all passes with their strengths in the denoiser."""
    return tuple((member, call.network) for stage in task.stages for call in stage.calls for member, _ in call.members)
