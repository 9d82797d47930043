"""Admission: what of a request can be told to be wrong, or too much, before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lorasmith.adapters.catalogue import Catalogue
from lorasmith.errors import UsageError
from lorasmith.generation.checks import check, final_size
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts import parse
from lorasmith.prompts.networks import unknown_tag_error
from lorasmith.server.bases import BaseEntry, find_base
from lorasmith.server.errors import FieldError
from lorasmith.server.settings import Limits
from lorasmith.tags.refusal import refuse


class Admission:
    """Checks specs against the limits, the bases and the adapters that there are."""

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

    def check(self, spec: PictureSpec) -> PictureSpec:
        """The spec with names made exact, the base's among them. Raises what can be told at once: FieldError,
        PromptError, RefusedError."""
        most = self._limits
        base = self._base(spec)
        try:
            checked = check(spec, base.facts)
            size = final_size(checked, base.facts)
        except UsageError as error:
            raise FieldError(error.message, where=error.field, hint=error.hint) from None
        hires = checked.hires
        texts = {"prompt": checked.prompt, "negative": checked.negative}
        if hires is not None:
            texts |= {"hires.prompt": hires.prompt or "", "hires.negative": hires.negative or ""}
        for name, text in texts.items():
            if len(text) > most.prompt:
                raise FieldError(f"{len(text)} characters, the most are {most.prompt}.", where=name)
        steps = checked.steps + (0 if hires is None else hires.steps or 0)
        if steps > most.steps:
            raise FieldError(f"steps = {steps}, the most are {most.steps}.", where="steps")
        if size is not None and size[0] * size[1] > most.pixels:
            raise FieldError(f"{size[0] * size[1]} pixels, the most are {most.pixels}.", where="width")
        refuse([checked.prompt, checked.negative], "prompt")
        for text in (checked.prompt, texts.get("hires.prompt", "")):
            prompt = parse(text, checked.steps, checked.compat)
            if prompt.unknown:
                raise unknown_tag_error(prompt.unknown[0])
            if len(prompt.networks) > most.adapters:
                raise FieldError(f"{len(prompt.networks)} adapters, the most are {most.adapters}.", where="prompt")
            self.check_adapters(*(network.name for network in prompt.networks))
        return replace(checked, base=base.name)

    def _base(self, spec: PictureSpec) -> BaseEntry:
        return self._bases[0] if spec.base is None else find_base(self._bases, spec.base)

    def check_adapters(self, *names: str) -> None:
        """Raise PromptError for the first name that no adapter has. The server's folders are not told."""
        self._catalogue.find(*names, where="prompt", hint="GET /api/v1/adapters lists those that there are.")
