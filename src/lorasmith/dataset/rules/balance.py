"""D16: each folder's share of an epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule

YEAR_LIKE = 1000


def check(evidence: Evidence) -> Iterator[Finding]:
    """A note with every folder's share when there are several; a warning for absurd repeats (a year, mostly)."""
    images = Counter((item.folder, item.repeats) for item in evidence.items)
    total = sum(count * repeats for (_, repeats), count in images.items())
    for folder, repeats in images:
        if repeats >= YEAR_LIKE:
            message = f"{folder}: the number before the underscore means {repeats} repeats of each image."
            advice = "Rename the folder if that is a year or a count."
            yield Finding("D16", "warning", message, advice, _members(evidence, folder))
    if len(images) > 1:
        shares = "; ".join(
            f"{folder or 'no folder'}: {count} images x {repeats} = {count * repeats / total:.0%}"
            for (folder, repeats), count in images.items()
        )
        advice = "A folder's weight is images x repeats; change the number before its underscore to change it."
        yield Finding("D16", "note", f"shares of the epoch: {shares}.", advice)


def _members(evidence: Evidence, folder: str) -> tuple[str, ...]:
    return tuple(item.name for item in evidence.items if item.folder == folder)


RULE = Rule("D16", "balance of the folders", check)
