"""Admission: what of a request can be told to be wrong, or too much, before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lorasmith.adapters.catalogue import Catalogue
from lorasmith.adapters.embeddings.catalogue import EmbeddingCatalogue
from lorasmith.errors import UsageError
from lorasmith.generation.checks import check, final_size
from lorasmith.generation.judging import refuse_picture
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts import parse
from lorasmith.prompts.composition import check_subprompts
from lorasmith.prompts.networks import split_networks, unknown_tag_error
from lorasmith.remedies import Action, Do
from lorasmith.server.bases import BaseEntry, find_base
from lorasmith.server.errors import FieldError
from lorasmith.server.settings import Limits

RESOLUTIONS = (256, 1024)
"""Between these is a side that is left to a base of which nothing is known."""


class Admission:
    """Checks specs against the limits, the bases, the adapters and the embeddings that there are."""

    def __init__(
        self, limits: Limits, bases: Sequence[BaseEntry], catalogue: Catalogue, embeddings: EmbeddingCatalogue
    ) -> None:
        self._limits = limits
        self._embeddings = embeddings
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
        steps = checked.steps + (0 if hires is None else hires.steps or checked.steps)
        if steps > most.steps:
            raise FieldError(f"steps = {steps}, the most are {most.steps}.", where="steps")
        pixels = max(_pixels_of(checked, side) for side in RESOLUTIONS) if size is None else size[0] * size[1]
        if pixels > most.pixels:
            hint = "How large this base draws is not known: say it by width and height." if size is None else None
            raise FieldError(f"{pixels} pixels, the most are {most.pixels}.", where="width", hint=hint)
        refuse_picture(checked, base.facts.cfg)
        brought = False
        for text in (checked.prompt, texts.get("hires.prompt", "")):
            prompt = parse(text, checked.steps, checked.compat)
            if prompt.unknown:
                raise unknown_tag_error(prompt.unknown[0])
            check_subprompts(len(prompt.subprompts), most.parts)
            if len(prompt.networks) > most.adapters:
                raise FieldError(f"{len(prompt.networks)} adapters, the most are {most.adapters}.", where="prompt")
            self.check_adapters(*(network.name for network in prompt.networks))
            brought = brought or bool(prompt.networks)
        for text in texts.values():
            self._embeddings.check(split_networks(text, checked.compat).text, base.facts.text_widths, brought)
        return replace(checked, base=base.name)

    def _base(self, spec: PictureSpec) -> BaseEntry:
        return self._bases[0] if spec.base is None else find_base(self._bases, spec.base)

    def check_adapters(self, *names: str) -> None:
        """Raise PromptError for the first name that no adapter has. The server's folders are not told."""
        self._catalogue.find(*names, where="prompt", hint=_listed())

    def trigger(self, name: str) -> str:
        """The trigger phrase of an adapter, "" for none. Raises PromptError; the server's folders are not told."""
        return self._catalogue.trigger(name, _listed())


def _listed() -> str:
    return f"{Do(Action.LIST_ADAPTERS)} lists those that there are."


def _pixels_of(spec: PictureSpec, resolution: int) -> int:
    """How many pixels the finished picture has on a base of this resolution, about."""
    width, height, hires = spec.width or resolution, spec.height or resolution, spec.hires
    if hires is None:
        return width * height
    if hires.width and hires.height:
        return hires.width * hires.height
    scale = hires.width / width if hires.width else hires.height / height if hires.height else hires.scale
    return int(width * height * scale * scale)
