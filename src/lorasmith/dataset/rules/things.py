"""D10: a thing in different light, company and surroundings, from several sides; clothing likewise, worn."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.coverage import Subset, divide, prefix, report_missing
from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.dataset.rules.places import report_few_viewpoints
from lorasmith.project import SubjectKind

_PLACES = frozenset(
    {
        *("indoors", "outdoors", "forest", "beach", "city", "street", "room", "classroom", "kitchen", "bedroom"),
        *("mountain", "field", "garden", "desert", "table", "grass", "sky", "water", "snow"),
    }
)


def check(evidence: Evidence) -> Iterator[Finding]:
    """Notes for what the plan of a thing lacks, for a single viewpoint and for a single background."""
    if evidence.subject not in (SubjectKind.ASSET, SubjectKind.CLOTHING):
        return
    yield from report_missing(evidence, "D10")
    for subset in divide(evidence):
        if subset.is_worded:
            yield from report_few_viewpoints(evidence, subset, "D10")
            yield from _one_background(subset)


def _one_background(subset: Subset) -> Iterator[Finding]:
    said = frozenset[str]().union(*subset.said.values())
    backgrounds = sorted(word for word in said if word.endswith(" background") or word in _PLACES)
    if len(backgrounds) < 2:
        message = f"{prefix(subset)}one background only ({', '.join(backgrounds) or 'none is named'})."
        advice = "Show it in front of different backgrounds, else they are learnt with it."
        yield Finding("D10", "note", message, advice)


RULE = Rule("D10", "a thing in different light, company and surroundings, from several sides", check)
