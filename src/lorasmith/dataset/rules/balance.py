"""D16: each folder's, role's and member's share of an epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import AutoFix, Finding, Rule
from lorasmith.remedies import Action, Do, Sentence

YEAR_LIKE = 1000
INFLUENCE = 2.0
"""How much more the primary images together should count than the supporting ones."""
_NEAR_ENOUGH = 1.4
_UNEVEN = 2.0


def check(evidence: Evidence) -> Iterator[Finding]:
    """Notes with the shares of folders, of roles and of a bundle's members; warnings for absurd repeats (a year,
    mostly), for primaries that count less than twice the supporting ones, and for a member that dominates."""
    images = Counter((item.folder, item.repeats) for item in evidence.items)
    for folder, repeats in images:
        if repeats >= YEAR_LIKE:
            message = f"{folder}: the number before the underscore means {repeats} repeats of each image."
            advice = Sentence(
                "Rename the folder if that is a year or a count; to show its images once an epoch: ",
                Do(Action.TIDY),
                ".",
            )
            names = _members(evidence, folder)
            yield Finding("D16", "warning", message, advice, names, fix=AutoFix("show once", names))
    if len(images) > 1:
        shares = "; ".join(f"{group}: {share}" for group, share in read_shares(evidence).items())
        weight = "A folder's weight is images x repeats; change the number before its underscore to change it."
        yield Finding("D16", "note", f"shares of the epoch: {shares}.", weight)
    yield from _roles(evidence)
    yield from _dominance(evidence)


def read_shares(evidence: Evidence) -> Mapping[str, str]:
    """By folder (and repeats): "58 images x 5 = 64%"."""
    images = Counter((item.folder, item.repeats) for item in evidence.items)
    total = sum(count * repeats for (_, repeats), count in images.items()) or 1
    several = Counter(folder for folder, _ in images)
    return {
        (folder or "no folder") + (f" (x {repeats})" if several[folder] > 1 else ""): (
            f"{count} {'image' if count == 1 else 'images'} x {repeats} = {count * repeats / total:.0%}"
        )
        for (folder, repeats), count in images.items()
    }


def _roles(evidence: Evidence) -> Iterator[Finding]:
    weight: Counter[str] = Counter()
    for item in evidence.items:
        if item.role:
            weight[item.role] += item.repeats
    if not weight["primary"] or not weight["supporting"]:
        return
    influence = weight["primary"] / weight["supporting"]
    if not INFLUENCE / _NEAR_ENOUGH <= influence <= INFLUENCE * _NEAR_ENOUGH:
        message = f"the primary images together count {influence:.1f} times as much as the supporting ones."
        advice = Sentence(
            f"About {INFLUENCE:g} times is usual: ", Do(Action.SOLVE, project="PROJECT"), " finds the repeats."
        )
        yield Finding("D16", "warning", message, advice)


def _dominance(evidence: Evidence) -> Iterator[Finding]:
    weight = _weights(evidence)
    if len(weight) < 2:
        return
    (most, high), *_, (least, low) = weight.most_common()
    if high > _UNEVEN * low:
        message = f"{most} is shown {high} times an epoch, {least} {low} times."
        advice = Sentence(
            f"Give {least} more images or repeats (", Do(Action.REPEAT), f"), else {most} bleeds into it."
        )
        yield Finding("D16", "warning", message, advice)


def _weights(evidence: Evidence) -> Counter[str]:
    weight: Counter[str] = Counter()
    for item in evidence.items:
        if item.member:
            weight[item.member] += item.repeats
    return weight


def _members(evidence: Evidence, folder: str) -> tuple[str, ...]:
    return tuple(item.name for item in evidence.items if item.folder == folder)


RULE = Rule("D16", "balance of folders, roles and members", check)
