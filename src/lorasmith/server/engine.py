"""The drawing side of the server: specs in, pictures out, step by step. The only module here that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace

from lorasmith.bases.base import open_base
from lorasmith.errors import LorasmithError, Stopped
from lorasmith.generation.base_facts import facts_of
from lorasmith.generation.batching import Stepper
from lorasmith.generation.checks import settle
from lorasmith.generation.spec import InitImage, PictureSpec, StoredInit
from lorasmith.images.opening import open_rgb
from lorasmith.server.bases import BaseEntry
from lorasmith.server.interfaces import Engine, InputPath, Moved, Round
from lorasmith.server.settings import ServerSettings
from lorasmith.server.stored import open_source


def open_start(spec: PictureSpec, input_path: InputPath) -> PictureSpec:
    """The spec with the picture that it starts from, if any, in place of its name. Raises ImageError when that is
    gone."""
    start = spec.init
    if not isinstance(start, StoredInit):
        return spec
    mask = None if start.mask is None else open_rgb(input_path(start.mask)).convert("L")
    image = open_rgb(input_path(start.image))
    return replace(spec, init=InitImage(image, mask, strength=start.strength, resize=start.resize))


class StepperEngine:
    """Draws on one base; pictures join and leave at any step, each with its own adapters, sampler and steps."""

    def __init__(self, stepper: Stepper, input_path: InputPath) -> None:
        self._stepper = stepper
        self._input_path = input_path
        self._facts = facts_of(stepper.preparer.base)

    @property
    def active(self) -> int:
        return len(self._stepper)

    def company(self, spec: PictureSpec) -> Hashable:
        settled = settle(replace(spec, init=None), self._facts)
        return settled.width, settled.height, spec.tiling, spec.hires is None

    def add(self, ticket: Hashable, spec: PictureSpec) -> int:
        self._stepper.add(open_start(spec, self._input_path), ticket)
        return self._progress(ticket, spec.steps)[1]

    def step(self, previews: bool, stop: Callable[[], bool]) -> Round:
        self._stepper.previews = 1 if previews else 0
        before = self._stepper.tickets
        try:
            advanced = self._stepper.step(stop)
        except Stopped:
            return Round()
        except LorasmithError as error:  # one picture's course ended; the others stand where they stood
            staying = set(self._stepper.tickets)
            gone = tuple((ticket, error) for ticket in before if ticket not in staying)
            if not gone:
                raise
            return Round(failed=gone)
        shown = {ticket: preview.image for ticket, preview in advanced.previews}
        staying = set(self._stepper.tickets)
        moved = tuple(
            Moved(ticket, *self._progress(ticket, 0), shown.get(ticket))
            for ticket in advanced.moved
            if ticket in staying
        )
        return Round(moved, advanced.finished)

    def remove(self, ticket: Hashable) -> None:
        self._stepper.remove(ticket)

    def _progress(self, ticket: Hashable, otherwise: int) -> tuple[int, int]:
        try:
            return self._stepper.progress(ticket)
        except KeyError:  # a picture that needs no step at all
            return otherwise, otherwise


def load_engine(entry: BaseEntry, settings: ServerSettings, input_path: InputPath) -> tuple[Engine, str]:
    """An engine on a base, and the base's hash. Raises BaseError."""
    base = open_base(entry.source, settings.precision, weights=settings.weights)
    stepper = Stepper(base, open_source(settings), settings.batch_size)
    return StepperEngine(stepper, input_path), base.content_hash
