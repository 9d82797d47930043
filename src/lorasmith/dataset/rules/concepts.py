"""D11: a concept on different kinds of subject, a pose from several angles."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.coverage import Subset, divide, prefix, report_missing
from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.dataset.rules.places import report_few_viewpoints
from lorasmith.project import SubjectKind

_SUBJECTS = {
    "a person": ("1person", "person", "people", "2people"),
    "a woman": ("1girl", "woman", "2girls", "multiple girls", "female"),
    "a man": ("1boy", "man", "2boys", "multiple boys", "male"),
    "an animal": ("animal", "animals", "cat", "dog", "bird", "horse", "fish"),
    "a robot or creature": ("robot", "creature", "monster", "dragon"),
    "a thing": ("no humans", "still life", "object", "vehicle", "car", "food", "building"),
    "a place": ("scenery", "landscape", "cityscape"),
}


def check(evidence: Evidence) -> Iterator[Finding]:
    """Notes: what the plan lacks, one angle only, and for a concept that it is shown with one kind of subject only."""
    if evidence.subject not in (SubjectKind.CONCEPT, SubjectKind.POSE):
        return
    yield from report_missing(evidence, "D11")
    for subset in divide(evidence):
        if subset.is_worded:
            yield from report_few_viewpoints(evidence, subset, "D11")
            if evidence.subject is SubjectKind.CONCEPT:
                yield from _one_kind(subset)


def _one_kind(subset: Subset) -> Iterator[Finding]:
    kinds = [kind for kind, words in _SUBJECTS.items() if subset.with_word(words)]
    if len(kinds) < 2:
        message = f"{prefix(subset)}shown with one kind of subject only ({', '.join(kinds) or 'none is named'})."
        advice = "Add other kinds (women, men, animals, things), else the concept keeps to the one."
        yield Finding("D11", "note", message, advice)


RULE = Rule("D11", "a concept on different kinds of subject, a pose from several angles", check)
