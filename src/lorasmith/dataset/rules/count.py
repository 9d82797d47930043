"""D1: there are enough images."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule

FLOOR, RECOMMENDED, MOST = 5, 20, 1000


def check(evidence: Evidence) -> Iterator[Finding]:
    """An error under 5 different images, a warning under 20, a note over 1000. Clones are not counted."""
    count = len({item.facts.sha256 for item in evidence.items})
    images = "1 image" if count == 1 else f"{count} different images"
    if count == 1:
        advice = "Cut what shall be learnt (head, hair, both sides, ...) into images of their own, and vary them (D14)."
        yield Finding("D1", "error", f"{images}: too few to learn from.", advice)
    elif count < FLOOR:
        advice = f"Add images: {FLOOR} are the least for a mediocre adapter, {RECOMMENDED} or more are recommended."
        yield Finding("D1", "error", f"{images}: too few to learn from.", advice)
    elif count < RECOMMENDED:
        advice = f"Add images if you can; {RECOMMENDED} or more are recommended."
        yield Finding("D1", "warning", f"{images}: the adapter will be rigid.", advice)
    elif count > MOST:
        advice = "Keep the best; more than a thousand rarely teach more."
        yield Finding("D1", "note", f"{images}: more than needed.", advice)


RULE = Rule("D1", "the image count is enough", check)
