"""D5: a character is seen from all sides, near and far, and mostly with its face."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.coverage import Subset, divide, prefix, report_missing
from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.project import SubjectKind

_FACELESS = frozenset(
    {
        *("from behind", "from the back", "back view", "facing away", "head out of frame", "face out of frame"),
        *("faceless", "covered face", "face hidden", "hidden face", "no face", "lower body", "silhouette"),
    }
)
_FACE_AFTER_ALL = frozenset({"looking back", "face", "portrait"})
_MOST = 0.5


def check(evidence: Evidence) -> Iterator[Finding]:
    """A note for the views that are missing, a warning when half of the images or more hide the face."""
    if evidence.subject is not SubjectKind.CHARACTER:
        return
    for subset in divide(evidence):
        yield from _hidden_faces(subset)
    yield from report_missing(evidence, "D5")


def _hidden_faces(subset: Subset) -> Iterator[Finding]:
    hidden = tuple(name for name, said in subset.said.items() if said & _FACELESS and not said & _FACE_AFTER_ALL)
    if subset.is_worded and len(hidden) >= _MOST * len(subset.items):
        message = f"{prefix(subset)}{len(hidden)} of {len(subset.items)} images do not show the face."
        advice = "Add images with clear facial features; most should have them."
        yield Finding("D5", "warning", message, advice, hidden)


RULE = Rule("D5", "a character from front, back and sides, near and far, mostly with a clear face", check)
