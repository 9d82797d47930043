"""D8: a couple is shown together in all ways, and neither dominates."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.coverage import Subset, divide, prefix, report_missing
from lorasmith.dataset.evidence import Evidence, plain
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.project import SubjectKind
from lorasmith.remedies import Action, Do, Sentence

DOMINANT = 2.0
FIXED = 3
"""So many images are shown oftener than the others, to fix the details of bodies and faces."""
_FEW = 3


def check(evidence: Evidence) -> Iterator[Finding]:
    """Notes for what the plan of a couple lacks and for too few repeated images; a warning when one dominates."""
    if evidence.subject is not SubjectKind.COUPLE:
        return
    yield from report_missing(evidence, "D8")
    for subset in divide(evidence):
        if subset.is_worded:
            yield from _dominance(evidence, subset)
            yield from _fixed(subset)


def _dominance(evidence: Evidence, subset: Subset) -> Iterator[Finding]:
    trigger = evidence.bundle[subset.name].trigger if subset.name else evidence.trigger
    names = [plain(name) for name in plain(trigger.split(",")[0]).removesuffix(" couple focus").split(" and ")]
    if len(names) != 2:
        return
    alone = [_alone(subset, one, other) for one, other in (names, names[::-1])]
    (more, many), (fewer, few) = sorted(zip(names, alone, strict=True), key=lambda pair: -len(pair[1]))
    if len(many) >= _FEW and len(many) > DOMINANT * len(few):
        message = f"{prefix(subset)}{more} stands alone in {len(many)} images, {fewer} in {len(few)}: one dominates."
        collage = Do(Action.COLLAGE, project="PROJECT", images=("IMAGE", "IMAGE"))
        advice = Sentence("Add images of the other, or collages of both: ", collage)
        yield Finding("D8", "warning", message, advice, many)


def _alone(subset: Subset, one: str, other: str) -> tuple[str, ...]:
    """Images whose words name the one and not the other."""
    return tuple(
        name
        for name, said in subset.said.items()
        if any(one in word.split() for word in said) and not any(other in word.split() for word in said)
    )


def _fixed(subset: Subset) -> Iterator[Finding]:
    hashes = [item.facts.sha256 for item in subset.items]
    least = min(item.repeats for item in subset.items)
    sources = {sha256 for item in subset.items if item.lineage for sha256 in item.lineage.sources}
    oftener = {
        item.facts.sha256
        for item in subset.items
        if item.repeats > least or item.facts.sha256 in sources or hashes.count(item.facts.sha256) > 1
    }
    if len(oftener) < FIXED:
        message = f"{prefix(subset)}{len(oftener)} images are shown oftener than the others; {FIXED} should be."
        repeat = Do(Action.REPEAT, project="PROJECT", image="IMAGE", times=3)
        advice = Sentence("Repeat three images with clear bodies and faces: ", repeat)
        yield Finding("D8", "note", message, advice)


RULE = Rule("D8", "a couple together in all positions, interacting and not, neither dominates", check)
