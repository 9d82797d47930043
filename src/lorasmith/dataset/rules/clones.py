"""D7: few clones."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule

MOST = 0.03


def check(evidence: Evidence) -> Iterator[Finding]:
    """A warning when more than 3 % of the images are identical copies of others."""
    clones = tuple(name for group in evidence.groups if group.kind == "same" for name in group.images[1:])
    share = len(clones) / len(evidence.items)
    if share > MOST:
        message = f"{len(clones)} of {len(evidence.items)} images are identical copies ({share:.0%})."
        advice = f"Over {MOST:.0%}, replace copies by changed ones (crop, colour, aspect ratio), or use repeats."
        yield Finding("D7", "warning", message, advice, clones)


RULE = Rule("D7", "few clones", check)
