"""D13: low quality that stays in is tagged as such."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.dataset.rules.duplicates import is_tagged_low, low_quality


def check(evidence: Evidence) -> Iterator[Finding]:
    """A note for images that measure as blurred, tiny or badly exposed and whose tags do not say so."""
    names = tuple(name for name in low_quality(evidence) if not is_tagged_low(evidence, name))
    if names:
        many = f"{len(names)} images are" if len(names) > 1 else "1 image is"
        message = f"{many} of low quality, and the tags do not say so."
        advice = "If they stay, tag them low quality, blurry (T7), so that this look is not learnt."
        yield Finding("D13", "note", message, advice, names)


RULE = Rule("D13", "low quality that stays in is tagged as such", check)
