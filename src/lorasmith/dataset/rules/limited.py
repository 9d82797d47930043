"""D2: a normal or a limited dataset."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.dataset.rules.count import FLOOR
from lorasmith.project import SubjectKind

LIMITED = {
    SubjectKind.CHARACTER: 25,
    SubjectKind.COUPLE: 25,
    SubjectKind.BACKGROUND: 15,
    SubjectKind.ASSET: 15,
    SubjectKind.CLOTHING: 15,
    SubjectKind.POSE: 35,
    SubjectKind.CONCEPT: 35,
    SubjectKind.STYLE: 35,
}
"""A dataset of so many images or fewer is limited. Couples count as characters, clothing as an asset, poses as
concepts: our choice, where the rule is silent."""

_TARGETS = {SubjectKind.CHARACTER: "50 to 90", SubjectKind.COUPLE: "50 to 90"}


def check(evidence: Evidence) -> Iterator[Finding]:
    """A note when the dataset is limited for its kind of subject."""
    count, limit = len({item.facts.sha256 for item in evidence.items}), LIMITED[evidence.subject]
    if FLOOR <= count <= limit:
        target = _TARGETS.get(evidence.subject)
        aim = f"Aim for {target} images" if target else f"Aim for more than {limit} images"
        message = f"a limited dataset for a {evidence.subject.value}: {count} different images, {limit} or fewer."
        advice = f"{aim}, or keep good pictures that the first adapter draws and train again with them (D15)."
        yield Finding("D2", "note", message, advice)


RULE = Rule("D2", "normal or limited dataset", check)
