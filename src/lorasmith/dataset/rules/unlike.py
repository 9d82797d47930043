"""L2 (ours): every image looks like the others of its set, as an encoder sees them.

What is apart may be somebody else, or the subject as nobody else saw it, so that a person looks. Only a single image
that lies twice as far from its like as is usual, where all others are near theirs, goes by itself.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import AutoFix, Finding, Rule
from lorasmith.dataset.rules.duplicates import low_quality

APART, TIMES = 0.265, 1.6
"""How far an image has to lie from its like to be told, and how many times as far as the median (docs/likeness.md:
good images of characters 0.254 and 1.87 at most, never both; strangers among them 0.278 and 1.72 at least)."""
SURELY, SURELY_TIMES = 0.34, 2.0
"""From where a single image goes by itself."""
MOST = 0.1
"""Where a larger share is apart, the set varies, and nobody is a stranger."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """A warning for the images that look like none of the others; one that surely does not is rejected."""
    bad = low_quality(evidence)
    apart = {name: far for name, far in evidence.apart.items() if name not in bad}
    if not apart:
        return
    usual = statistics.median(apart.values())
    odd = [name for name, far in apart.items() if far > APART and far > TIMES * usual and name not in evidence.kept]
    if not odd or len(odd) > MOST * len(apart):
        return
    one = len(odd) == 1
    surely = one and apart[odd[0]] > max(SURELY, SURELY_TIMES * usual)
    message = f"{len(odd)} {'image looks' if one else 'images look'} like none of the others."
    advice = f"Look at {'it' if one else 'them'}: out with what shows another subject, keep what shows this one."
    yield Finding("L2", "warning", message, advice, tuple(odd), fix=AutoFix("reject", tuple(odd)) if surely else None)


RULE = Rule("L2", "every image looks like the others of its set", check)
