"""Looking through a hub: what may be shown of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lorasmith.errors import RefusedError, UsageError
from lorasmith.events import Work
from lorasmith.library.hubs import civitai, huggingface
from lorasmith.library.hubs.civitai import open_civitai
from lorasmith.library.hubs.hub import Hub, HubModel, Question
from lorasmith.library.hubs.huggingface import open_hugging_face
from lorasmith.library.hubs.references import CIVITAI, HUGGING_FACE
from lorasmith.tags.refusal import refuse

SORTS = {CIVITAI: civitai.SORTS, HUGGING_FACE: huggingface.SORTS}
NAMES = {"civitai": CIVITAI, "hf": HUGGING_FACE, "huggingface": HUGGING_FACE}
"""What a user may call the hubs."""


@dataclass(frozen=True)
class Shown:
    """A page of what was found; `refused` models are left out, `after` leads to the next page."""

    models: tuple[HubModel, ...]
    refused: int = 0
    after: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"models": [model.as_json() for model in self.models], "refused": self.refused, "after": self.after}


def hub_called(name: str) -> Hub:
    """The hub of that name. Raises UsageError."""
    if name not in NAMES:
        raise UsageError(f"{name}: no such hub.", field="hub", hint="There are: civitai, hf.")
    return open_civitai() if NAMES[name] == CIVITAI else open_hugging_face()


def look_through(hub: Hub, question: Question) -> Work[Shown]:
    """A page of models, without those that the list of refusals is against. Raises HubError, RefusedError for such
    words, UsageError for an order that the hub has not."""
    refuse(question.words, "search")
    known = SORTS[NAMES["civitai"] if isinstance(hub, civitai.Civitai) else HUGGING_FACE]
    if question.sort and question.sort not in known:
        raise UsageError(
            f'"{question.sort}": no such order there.', field="sort", hint=f"There are: {', '.join(known)}."
        )
    found = yield from hub.search(question)
    shown = tuple(model for model in found.models if may_show(model.words))
    return Shown(shown, len(found.models) - len(shown), found.after)


def may_show(words: Iterable[str]) -> bool:
    """Whether the list of refusals has nothing against these words, taken together."""
    try:
        refuse(words, "hub")
    except RefusedError:
        return False
    return True
