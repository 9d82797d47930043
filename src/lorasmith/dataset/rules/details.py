"""D6: special details, such as a tattoo or a scar, have images of their own that count more."""

from __future__ import annotations

import math
from collections.abc import Iterator

from lorasmith.dataset.coverage import LABEL, Subset, divide, prefix
from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.dataset.reading import Item
from lorasmith.project import SubjectKind
from lorasmith.remedies import Action, Do, Sentence

_DETAILS = ("tattoo", "scar", "birthmark", "mole", "piercing", "face paint", "facial mark")
_CLOSE = frozenset({"close-up", "close up", "detail", "cropped", "macro", "portrait"})
_ON_FACE = ("face", "cheek", "eye", "nose", "mouth", "forehead", "lip", "facial")
SHARE, DEPICTIONS, ON_FACE = 0.05, 2, 3


def check(evidence: Evidence) -> Iterator[Finding]:
    """Notes for a detail that is named in two images or more: too few in focus, or those shown too seldom."""
    if evidence.subject not in (SubjectKind.CHARACTER, SubjectKind.COUPLE):
        return
    for subset in divide(evidence):
        for detail in _DETAILS:
            yield from _check_detail(evidence, subset, detail)


def _check_detail(evidence: Evidence, subset: Subset, detail: str) -> Iterator[Finding]:
    vocabulary = frozenset[str]().union(*subset.said.values())
    naming = [word for word in vocabulary if detail in word and detail in word.split()]
    shown = frozenset(subset.with_word(naming)) if naming else frozenset[str]()
    showing = [item for item in subset.items if item.name in shown]
    if len(showing) < 2:
        return
    focused = [item for item in showing if _is_close(item, subset.said[item.name], detail)]
    wanted = max(1, math.ceil(SHARE * len(subset.items) - 1e-9))
    where = prefix(subset)
    if len(focused) < wanted:
        message = (
            f"{where}{detail}: in focus in {len(focused)} of {len(subset.items)} images; about {SHARE:.0%} should."
        )
        label = LABEL.about(facet=f"{detail} focus")
        advice = Sentence("Add close-ups of it (", Do(Action.CUT), "), or label them: ", label, ".")
        yield Finding("D6", "note", message, advice, tuple(item.name for item in showing))
        return
    seldom = [item for item in focused if _depictions(evidence, item) < _least(subset.said[item.name], detail)]
    if len(focused) - len(seldom) < wanted:
        message = f"{where}{detail}: its close-ups are shown too seldom."
        advice = Sentence(
            f"Show each {DEPICTIONS} times, on a face {ON_FACE} times: ",
            Do(Action.ALTER, project="PROJECT", image="IMAGE"),
            ", or ",
            Do(Action.REPEAT, project="PROJECT", image="IMAGE", times="N"),
        )
        yield Finding("D6", "note", message, advice, tuple(item.name for item in seldom))


def _is_close(item: Item, said: frozenset[str], detail: str) -> bool:
    made_by = item.lineage.operation.split(", ") if item.lineage else []
    return (
        item.crop is not None
        or "cut" in made_by
        or "crop" in made_by
        or f"{detail} focus" in said
        or not said.isdisjoint(_CLOSE)
    )


def _least(said: frozenset[str], detail: str) -> int:
    on_face = any(detail in word and any(place in word for place in _ON_FACE) for word in said)
    return ON_FACE if on_face else DEPICTIONS


def _depictions(evidence: Evidence, item: Item) -> int:
    """How often an epoch shows an image: its repeats, and those of its copies, altered ones too."""
    sha256 = item.facts.sha256
    return sum(
        other.repeats
        for other in evidence.items
        if other.facts.sha256 == sha256 or (other.lineage is not None and sha256 in other.lineage.sources)
    )


RULE = Rule("D6", "special details are shown in focus, and oftener", check)
