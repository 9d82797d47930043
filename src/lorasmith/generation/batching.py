"""Continuous batching: pictures join and leave at any step, and share the denoiser's passes while they are there.

Each picture has its own step counter, noise level, sampler and adapters (`denoising`, `denoise_calls`); what must
agree in one pass is the size and the tiling.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import count

import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.bases.base import Base
from lorasmith.events import Preview
from lorasmith.generation.adapter_sets import AdapterSet, Member
from lorasmith.generation.denoise_calls import DenoiseCall, run_calls
from lorasmith.generation.denoising import Denoising, denoise
from lorasmith.generation.pictures import Drawing, Picture
from lorasmith.generation.prepare import AdapterSource, PictureTask, Preparer
from lorasmith.generation.previews import Previewer
from lorasmith.generation.spec import PictureSpec

BATCH_SIZE = 8
# One bank for all adapters in flight while they are few; else each pass has its own.
SHARED_BANK = 16
LATELY_BYTES = 128 * 2**20
Ticket = Hashable


@dataclass(frozen=True)
class Advanced:
    """What a step brought: finished pictures and previews by ticket, and whose pictures took part in it."""

    finished: tuple[tuple[Ticket, Picture], ...] = ()
    previews: tuple[tuple[Ticket, Preview], ...] = ()
    moved: tuple[Ticket, ...] = ()


@dataclass(eq=False)
class _Canvas:
    """A picture that is being drawn. `served` is the moment of its last step, for fair turns; `seat` its place among
    those in flight: who stays keeps theirs, so that merged weights of their rows do."""

    ticket: Ticket
    number: int
    seat: int
    task: PictureTask
    denoising: Denoising
    call: DenoiseCall
    drawing: Drawing | None
    served: int
    done: int = 0


class Stepper:
    """Draws on one base with the adapters of a source, a step at a time, at most `batch_size` pictures in a pass.

    With `previews` = n every picture gives a preview every n evaluations. Not for several threads at once.
    """

    def __init__(
        self,
        base: Base,
        adapters: AdapterSource | None = None,
        batch_size: int = BATCH_SIZE,
        previews: int = 0,
        preparer: Preparer | None = None,
        previewer: Previewer | None = None,
    ) -> None:
        self.preparer = Preparer(base, adapters) if preparer is None else preparer
        self.batch_size = batch_size
        self.previews = previews
        self._previewer = Previewer(self.preparer.base) if previewer is None else previewer
        self._canvases: dict[Ticket, _Canvas] = {}
        self._ready: list[tuple[Ticket, Picture]] = []
        self._lately: OrderedDict[Member, Adapter] = OrderedDict()
        self._without = AdapterSet(self.preparer.base, {})
        self._clock = count()
        self._numbers = count()

    def __len__(self) -> int:
        """Pictures in flight."""
        return len(self._canvases) + len(self._ready)

    @property
    def tickets(self) -> list[Ticket]:
        """Whose pictures are in flight."""
        return [*self._canvases, *(ticket for ticket, _ in self._ready)]

    def progress(self, ticket: Ticket) -> tuple[int, int]:
        """(evaluations done, evaluations in all) of a picture in flight. Raises KeyError."""
        canvas = self._canvases[ticket]
        return canvas.done, canvas.task.evaluations

    def add(self, spec: PictureSpec, ticket: Ticket) -> None:
        """Let a picture join. Raises PromptError, UsageError, AdapterError, RefusedError, and ValueError for a ticket
        that is in flight already; the others are not disturbed."""
        self.add_task(self.preparer.prepare(spec), ticket)

    @torch.inference_mode()
    def add_task(self, task: PictureTask, ticket: Ticket, drawing: Drawing | None = None) -> None:
        """Let a picture join whose spec was read already; `drawing` is what to record in it."""
        if ticket in self._canvases or any(ticket == other for other, _ in self._ready):
            raise ValueError(f"ticket {ticket!r} is in flight already")
        adapter_set = self._joining_set(task)
        denoising = denoise(self.preparer.base, task, self.preparer.guide(task, adapter_set))
        try:
            call = next(denoising)
        except StopIteration as end:
            self._ready.append((ticket, self.preparer.finish(task, end.value, drawing)))
            return
        taken = {canvas.seat for canvas in self._canvases.values()}
        seat = next(seat for seat in count() if seat not in taken)
        self._canvases[ticket] = _Canvas(
            ticket, next(self._numbers), seat, task, denoising, call, drawing, served=next(self._clock)
        )

    def remove(self, ticket: Ticket) -> None:
        """Let a picture leave unfinished; one that is not in flight is nothing."""
        self._canvases.pop(ticket, None)
        self._ready = [(other, picture) for other, picture in self._ready if other != ticket]

    @torch.inference_mode()
    def step(self, stop: Callable[[], bool] | None = None) -> Advanced:
        """One pass for those that waited longest and all that can go with them.

        `stop` is asked within the pass; when it says yes Stopped is raised, and all pictures stand where they stood:
        the next call makes the pass again.
        """
        ready, self._ready = self._ready, []
        waiting = sorted(self._canvases.values(), key=lambda canvas: (canvas.served, canvas.number))
        if not waiting:
            return Advanced(finished=tuple(ready))
        company = waiting[0].call.company
        chosen = [canvas for canvas in waiting if canvas.call.company == company][: self.batch_size]
        chosen.sort(key=lambda canvas: canvas.seat)
        tasks = [canvas.task for canvas in chosen]
        adapter_set = self._adapter_set([canvas.task for canvas in self._canvases.values()], tasks)
        try:
            found = run_calls(self.preparer.base, adapter_set, [canvas.call for canvas in chosen], stop)
        except BaseException:
            self._ready = ready
            raise
        served = next(self._clock)
        previews = []
        for canvas, x_0 in zip(chosen, found, strict=True):
            canvas.done, canvas.served = canvas.done + 1, served
            if self.previews and canvas.done % self.previews == 0:
                image = self._previewer.draw(x_0)
                preview = Preview(canvas.number, image, canvas.done, canvas.task.evaluations)
                previews.append((canvas.ticket, preview))
            try:
                canvas.call = canvas.denoising.send(x_0)
            except StopIteration as end:
                del self._canvases[canvas.ticket]
                ready.append((canvas.ticket, self.preparer.finish(canvas.task, end.value, canvas.drawing)))
            except BaseException:
                del self._canvases[canvas.ticket]  # its picture is over; the others go on
                self._ready = ready
                raise
        return Advanced(tuple(ready), tuple(previews), tuple(canvas.ticket for canvas in chosen))

    def _joining_set(self, task: PictureTask) -> AdapterSet:
        """What encodes the first texts of a picture that joins: no bank is made where no adapter acts on texts, and one
        for all that join before the next step is made in that."""
        if not any(text.te for stage in task.stages for versions in stage.texts for _, text in versions):
            return self._without
        return self._adapter_set([*(canvas.task for canvas in self._canvases.values()), task], [task])

    def _adapter_set(self, everybody: list[PictureTask], wanted: list[PictureTask]) -> AdapterSet:
        """A bank for the wanted tasks; for everybody in flight when that is not too many, and then for those that were
        there lately too: pictures come and go, and for most of them no new bank is made."""
        members = {member: adapter for task in everybody for member, adapter in task.members.items()}
        if len(members) > SHARED_BANK:
            return self.preparer.adapter_set(wanted)
        newcomers = not members.keys() <= self._lately.keys()
        for member, adapter in members.items():
            self._lately[member] = adapter
            self._lately.move_to_end(member)
        while newcomers and len(self._lately) > len(members) and self._is_crowded():
            self._lately.popitem(last=False)
        return self.preparer.banks.get(members, self._lately)

    def _is_crowded(self) -> bool:
        bytes_held = sum(adapter.bytes for adapter in self._lately.values())
        return len(self._lately) > SHARED_BANK or bytes_held > LATELY_BYTES
