"""D15: the size of a second round, with pictures that the first adapter drew."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.remedies import Action, Do, Remedy, Sentence

FEWEST, MOST = 25, 35


def check(evidence: Evidence) -> Iterator[Finding]:
    """A note when generated pictures were adopted and the round is smaller or larger than 25 to 35 images."""
    adopted = tuple(item.name for item in evidence.items if item.is_adopted)
    count = len(evidence.items)
    if not adopted or FEWEST <= count <= MOST:
        return
    message = f"round two has {count} images, {len(adopted)} of them drawn by an adapter; {FEWEST} to {MOST} are usual."
    if count < FEWEST:
        adopt = Do(Action.ADOPT, project="PROJECT", pictures="PICTURES")
        advice: str | Remedy = Sentence("Generate more, keep the good ones: ", adopt, ".")
    else:
        advice = "Keep the best only. Stop as soon as strength 0.8 gives usable pictures."
    yield Finding("D15", "note", message, advice, adopted)


RULE = Rule("D15", "a second round has 25 to 35 images", check)
