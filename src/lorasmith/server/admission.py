"""Admission: what of a request can be told to be wrong, or too much, before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from lorasmith.adapters.catalogue import Catalogue
from lorasmith.prompts import parse
from lorasmith.prompts.networks import unknown_tag_error
from lorasmith.server.bases import BaseEntry, find_base
from lorasmith.server.errors import FieldError
from lorasmith.server.orders import Order
from lorasmith.server.settings import Limits
from lorasmith.tags.refusal import refuse


class Admission:
    """Checks orders against the limits, the bases and the adapters that there are."""

    def __init__(self, limits: Limits, bases: Sequence[BaseEntry], catalogue: Catalogue) -> None:
        self._limits = limits
        self._bases = bases
        self._catalogue = catalogue

    def check_count(self, count: int, where: str) -> None:
        """Raise FieldError when these are too many pictures for one request."""
        if count > self._limits.pictures:
            raise FieldError(f"{count} pictures, the most are {self._limits.pictures}.", where=where)

    def check_cells(self, count: int, where: str) -> None:
        """Raise FieldError when these are too many cells for one grid."""
        if count > self._limits.cells:
            raise FieldError(f"{count} cells, the most are {self._limits.cells}.", where=where)

    def check_order(self, order: Order) -> None:
        """Raise what can be told at once: FieldError, PromptError, RefusedError."""
        most = self._limits
        for name, text in (("prompt", order.prompt), ("negative", order.negative)):
            if len(text) > most.prompt:
                raise FieldError(f"{len(text)} characters, the most are {most.prompt}.", where=name)
        steps = order.steps + (0 if order.hires is None else order.hires.steps)
        if steps > most.steps:
            raise FieldError(f"steps = {steps}, the most are {most.steps}.", where="steps")
        pixels = pixels_of(order)
        if pixels > most.pixels:
            raise FieldError(f"{pixels} pixels, the most are {most.pixels}.", where="width")
        find_base(self._bases, order.base)
        refuse([order.prompt, order.negative], "prompt")
        for text in (order.prompt, order.hires.prompt if order.hires else ""):
            prompt = parse(text, order.steps, order.compat)
            if prompt.unknown:
                raise unknown_tag_error(prompt.unknown[0])
            if len(prompt.networks) > most.adapters:
                raise FieldError(f"{len(prompt.networks)} adapters, the most are {most.adapters}.", where="prompt")
            self.check_adapters(*(network.name for network in prompt.networks))

    def check_adapters(self, *names: str) -> None:
        """Raise PromptError for the first name that no adapter has. The server's folders are not told."""
        self._catalogue.find(*names, where="prompt", hint="GET /api/v1/adapters lists those that there are.")


def pixels_of(order: Order) -> int:
    """Pixels of the finished picture; a size left to the base counts nothing."""
    width, height = order.width or 0, order.height or 0
    if order.hires is not None:
        scale = order.hires.scale
        width, height = order.hires.width or int(width * scale), order.hires.height or int(height * scale)
    return width * height
