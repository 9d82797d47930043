"""What a picture's prompts say that nobody may have meant: asked by every face before it draws."""

from __future__ import annotations

from collections.abc import Iterable

from lorasmith.errors import PromptError
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts import split_networks
from lorasmith.prompts.advice import Adapters, Advice, advise

IN_NEGATIVE = Advice("warning", "an adapter tag in a negative prompt has no effect.", "U1")


NO_GUIDANCE = Advice("warning", "a negative prompt has no effect at CFG 1.")


class _Asked:
    """Each adapter is looked for once."""

    def __init__(self, adapters: Adapters) -> None:
        self._adapters = adapters
        self._known: dict[str, str | PromptError] = {}

    def trigger(self, name: str) -> str:
        if name not in self._known:
            try:
                self._known[name] = self._adapters.trigger(name)
            except PromptError as fault:
                self._known[name] = fault
        known = self._known[name]
        if isinstance(known, PromptError):
            raise known
        return known


def advise_specs(specs: Iterable[PictureSpec], adapters: Adapters | None) -> tuple[Advice, ...]:
    """The warnings of all prompts of these pictures, once each. What makes a picture impossible is no advice."""
    asked = None if adapters is None else _Asked(adapters)
    found: dict[Advice, None] = {}
    seen: set[tuple[object, ...]] = set()
    for spec in specs:
        hires = spec.hires
        texts = [spec.prompt, *([hires.prompt] if hires is not None and hires.prompt else [])]
        away = [spec.negative, *([hires.negative] if hires is not None and hires.negative else [])]
        key = (*texts, *away, spec.steps, spec.compat)
        if key in seen:
            continue
        seen.add(key)
        for text in texts:
            advices = advise(text, spec.steps, spec.compat, asked)[1]
            found.update(dict.fromkeys(advice for advice in advices if advice.level == "warning"))
        if any(split_networks(text, "a1111").text != text for text in away):
            found[IN_NEGATIVE] = None
    return tuple(found)


def advise_guidance(specs: Iterable[PictureSpec], title: str, own: float) -> tuple[Advice, ...]:
    """The warnings of pictures on a base that is drawn at a CFG of its `own`."""
    found: dict[Advice, None] = {}
    for spec in specs:
        cfg = own if spec.cfg is None else spec.cfg
        if own == 1 and cfg > 1:
            words = f"{title} is made for CFG 1; CFG {cfg:g} takes twice the time and drives its pictures too far."
            found[Advice("warning", words)] = None
        if cfg == 1 and spec.negative:
            found[NO_GUIDANCE] = None
    return tuple(found)
