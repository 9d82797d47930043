"""D12: duplicates, near-duplicates and blurred images go."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence, Group
from lorasmith.dataset.findings import Finding, Rule

BLURRED = 0.1
"""Reblur ratio above which a picture counts as blurred: sharp ones stay under 0.03, halved and enlarged ones under
0.08; fourfold enlargement gives 0.10 to 0.25, a sigma-3 blur 0.25 and more."""

_WORDS = {"same": "identical to", "near": "a near-duplicate of", "mirrored": "a mirror image of"}


def check(evidence: Evidence) -> Iterator[Finding]:
    """A warning for every group of one picture, and for the blurred images."""
    for group in evidence.groups:
        yield _duplicates(group)
    blurred = tuple(name for name, blur in evidence.blur.items() if blur > BLURRED)
    if blurred:
        message = f"{len(blurred)} blurred or enlarged {'image' if len(blurred) == 1 else 'images'}."
        advice = "Remove them, or tag them low quality, blurry (T7), so that the blur is not learnt."
        yield Finding("D12", "warning", message, advice, blurred)


def _duplicates(group: Group) -> Finding:
    others = group.images[1:]
    what = _WORDS[group.kind] if len(others) == 1 else f"each {_WORDS[group.kind]}"
    message = f"{', '.join(others)}: {what} {group.keep}."
    advice = f"Keep {group.keep}, remove the {'other' if len(others) == 1 else 'others'}."
    if group.kind == "mirrored":
        advice += " (A mirrored copy is harmless when the subject looks the same from both sides.)"
    return Finding("D12", "warning", message, advice, group.images)


RULE = Rule("D12", "no duplicates, near-duplicates or blurred images", check)
