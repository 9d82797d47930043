"""D9: a place in different light and weather, with life in it, indoors or outdoors."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.coverage import VIEW, Subset, cover, distinct_answers, divide, prefix, report_missing
from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.project import SubjectKind
from lorasmith.remedies import Action, Do, Sentence

_INSIDE, _OUTSIDE = ("indoors", "indoor", "interior"), ("outdoors", "outdoor", "exterior")
_IN_FOCUS = ("portrait", "solo focus", "face focus", "upper body", "cowboy shot", "looking at viewer")
_LIKELY_BOTH = 0.1


def check(evidence: Evidence) -> Iterator[Finding]:
    """Notes for what the plan of a place lacks; warnings when persons are in focus, or it is inside and outside."""
    if evidence.subject is not SubjectKind.BACKGROUND:
        return
    yield from report_missing(evidence, "D9")
    for subset in divide(evidence):
        if subset.is_worded:
            yield from report_few_viewpoints(evidence, subset, "D9")
            yield from _persons(subset)
            yield from _two_places(subset)


def report_few_viewpoints(evidence: Evidence, subset: Subset, rule: str) -> Iterator[Finding]:
    """A note when fewer than two viewpoints are known."""
    views = distinct_answers(cover(evidence.subject, subset), VIEW)
    if len(views) < 2:
        message = f"{prefix(subset)}one viewpoint only ({', '.join(views) or 'none is named'})."
        advice = "Add images from above, from below, from the side or from afar."
        yield Finding(rule, "note", message, advice)


def _persons(subset: Subset) -> Iterator[Finding]:
    names = subset.with_word(_IN_FOCUS)
    if names:
        message = f"{prefix(subset)}{len(names)} images have a person in focus instead of the place."
        advice = Sentence("Keep people and animals small, or crop them away: ", Do(Action.CROP), ".")
        yield Finding("D9", "warning", message, advice, names)


def _two_places(subset: Subset) -> Iterator[Finding]:
    inside, outside = subset.with_word(_INSIDE), subset.with_word(_OUTSIDE)
    fewer = min((inside, outside), key=len)
    if len(fewer) > _LIKELY_BOTH * len(subset.items):
        message = f"{prefix(subset)}{len(inside)} images are indoors and {len(outside)} outdoors: two places in one."
        advice = "Keep one of them, or make a bundle of two: [bundle.NAME] tables in lora.toml (D3)."
        yield Finding("D9", "warning", message, advice, fewer)


RULE = Rule("D9", "a place in different light and weather, inhabited, indoors or outdoors", check)
