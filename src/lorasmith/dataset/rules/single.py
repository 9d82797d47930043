"""D14: a dataset made of a single image."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.project import SubjectKind
from lorasmith.remedies import Action, Do, Sentence

FEWEST, MOST = 15, 20
"""How many images the first round has."""

_CUTS = {
    SubjectKind.BACKGROUND: "cut it like a pizza",
    SubjectKind.ASSET: "cut it lengthwise and across",
}
_CUT_BODY = "cut out all that shall be learnt (head, eyes, hair, body, both sides)"
_GREY = "grayscale"


def check(evidence: Evidence) -> Iterator[Finding]:
    """A note with the plan while all images come from one picture and its first round is not whole."""
    originals = {item.facts.sha256 for item in evidence.items if item.lineage is None}
    made = [item for item in evidence.items if item.lineage is not None]
    if len(originals) != 1 or any(item.lineage and item.lineage.operation == "adopt" for item in made):
        return
    has_grey = any(item.lineage and _GREY in item.lineage.operation.split(", ") for item in made)
    count = len(made) + 1
    lacking = []
    if count < FEWEST:
        lacking.append(f"{count} of {FEWEST} to {MOST} images")
    elif count > MOST:
        lacking.append(f"{count} images where {MOST} are the most for a first round")
    if not has_grey:
        lacking.append("no grayscale version, which is a must")
    if lacking:
        cut = _CUTS.get(evidence.subject, _CUT_BODY)
        name = next(item.name for item in evidence.items if item.lineage is None)
        advice = Sentence(
            f"From the one image, {cut}; change orientation, aspect and angle, overlay a colour, add a grayscale one. "
            "All in one: ",
            Do(Action.CUT, project="PROJECT", image=name),
            ".",
        )
        yield Finding("D14", "note", f"a single-image dataset: {'; '.join(lacking)}.", advice, (name,))


RULE = Rule("D14", "a single image is cut and varied into a first round of 15 to 20", check)
