"""The drawing side of the server: orders in, pictures out, step by step. The only module here that needs torch."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lorasmith.adapters.shelf import AdapterShelf
from lorasmith.bases.base import load_base
from lorasmith.errors import LorasmithError
from lorasmith.events import Preview, Progress, Work
from lorasmith.generation.pictures import DOCUMENT_KEY, INFOTEXT_KEY, Picture
from lorasmith.generation.request import Hires, InitImage, Request, Variation, settle
from lorasmith.generation.studio import Studio
from lorasmith.images.opening import open_rgb
from lorasmith.server.catalogue import BaseEntry
from lorasmith.server.orders import Order
from lorasmith.server.settings import ServerSettings


@dataclass(frozen=True)
class Moved:
    """A picture that is `step` of `steps` far; `preview` where one was made."""

    ticket: Hashable
    step: int
    steps: int
    preview: Image.Image | None = None


@dataclass(frozen=True)
class Round:
    """What one step brought: what moved on, and what is finished."""

    moved: tuple[Moved, ...] = ()
    finished: tuple[tuple[Hashable, Picture], ...] = ()
    failed: tuple[tuple[Hashable, LorasmithError], ...] = ()


class Engine(Protocol):
    """Draws the orders that were added, together, one step at a time; lives in one thread."""

    @property
    def active(self) -> int:
        """How many pictures are in the making."""

    @property
    def is_open(self) -> bool:
        """Whether pictures may still join those in the making."""

    def company(self, order: Order) -> Hashable:
        """Orders with equal company are drawn together. Raises LorasmithError for what cannot be drawn at all."""

    def add(self, ticket: Hashable, order: Order) -> int:
        """Take an order in; gives its steps. Raises LorasmithError, and nothing is added."""

    def step(self, previews: bool) -> Round:
        """One step of everything in the making."""

    def remove(self, ticket: Hashable) -> None:
        """Give up a picture."""


InputPath = Callable[[str], Path]


def request_of(order: Order, input_path: InputPath) -> Request:
    """The drawing side's request. Raises ImageError when a picture to start from is gone."""
    start, hires, variation = order.start, order.hires, order.variation
    init = None
    if start is not None:
        init = InitImage(
            open_rgb(input_path(start.image)),
            start.strength,
            None if start.mask is None else open_rgb(input_path(start.mask)).convert("L"),
            start.resize,
        )
    return Request(
        prompt=order.prompt,
        negative=order.negative,
        seed=order.seed,
        steps=order.steps,
        cfg=order.cfg,
        sampler=order.sampler,
        width=order.width,
        height=order.height,
        clip_skip=order.clip_skip,
        emphasis=order.emphasis,  # type: ignore[arg-type]  # checked by `settle`
        compat=order.compat,
        schedule=order.schedule,
        eta=order.eta,
        variation=None if variation is None else Variation(variation.seed, variation.strength),
        init=init,
        hires=None
        if hires is None
        else Hires(
            scale=hires.scale,
            width=hires.width,
            height=hires.height,
            steps=hires.steps or None,
            denoising=hires.denoising,
            upscaler=hires.upscaler,
            prompt=hires.prompt or None,
            negative=hires.negative or None,
        ),
        tiling=order.tiling,
    )


class StudioEngine:
    """Draws on one base with a studio, batch by batch: who comes while a batch is in the making waits for the next."""

    def __init__(self, studio: Studio, input_path: InputPath) -> None:
        self._studio = studio
        self._input_path = input_path
        self._waiting: dict[Hashable, Request] = {}
        self._batch: list[Hashable] = []
        self._gone: set[Hashable] = set()
        self._work: Work[list[Picture]] | None = None

    @property
    def active(self) -> int:
        return len(self._waiting) + len(self._batch)

    @property
    def is_open(self) -> bool:
        return self._work is None

    def company(self, order: Order) -> Hashable:
        _, settings = settle(request_of(order, self._input_path), self._studio.base)
        return settings.company

    def add(self, ticket: Hashable, order: Order) -> int:
        request = request_of(order, self._input_path)
        self._studio.check(request)
        self._waiting[ticket] = request
        return request.steps

    def step(self, previews: bool) -> Round:
        if self._work is None:
            self._batch = list(self._waiting)
            self._work = self._studio.draw(list(self._waiting.values()))
            self._waiting.clear()
        try:
            event = next(self._work)
        except StopIteration as stop:
            pictures: list[Picture] = stop.value
            finished = tuple(each for each in zip(self._batch, pictures, strict=True) if each[0] not in self._gone)
            self._work, self._batch = None, []
            self._gone.clear()
            return Round(finished=finished)
        if isinstance(event, Progress):
            return Round(moved=tuple(Moved(t, event.done, event.total) for t in self._batch if t not in self._gone))
        if isinstance(event, Preview) and previews and self._batch[event.index] not in self._gone:
            return Round(moved=(Moved(self._batch[event.index], event.step, event.steps, event.image),))
        return Round()

    def remove(self, ticket: Hashable) -> None:
        if ticket in self._waiting:
            del self._waiting[ticket]
        elif ticket in self._batch:
            self._gone.add(ticket)
            if self._work is not None and self._gone >= set(self._batch):
                self._work.close()
                self._work, self._batch = None, []
                self._gone.clear()


def load_engine(entry: BaseEntry, settings: ServerSettings, input_path: InputPath) -> tuple[Engine, str]:
    """An engine on a base, and the base's hash. Raises BaseError."""
    base = load_base(entry.source)
    studio = Studio(base, AdapterShelf(settings.adapters), settings.batch_size)
    return StudioEngine(studio, input_path), base.content_hash


def encode_png(picture: Picture) -> bytes:
    """The PNG with both recipes inside, as `lorasmith generate` writes it."""
    text = PngInfo()
    text.add_text(INFOTEXT_KEY, picture.infotext)
    text.add_itxt(DOCUMENT_KEY, json.dumps(picture.as_json(), ensure_ascii=False))
    held = io.BytesIO()
    picture.image.save(held, "PNG", pnginfo=text)
    return held.getvalue()
