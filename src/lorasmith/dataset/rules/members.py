"""D3: every member of a bundle has its images, and its own."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence, plain
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.project import SubjectKind

WANTED = {
    SubjectKind.CHARACTER: 69,
    SubjectKind.COUPLE: 69,
    SubjectKind.BACKGROUND: 45,
    SubjectKind.ASSET: 30,
    SubjectKind.CLOTHING: 30,
    SubjectKind.POSE: 25,
    SubjectKind.CONCEPT: 25,
    SubjectKind.STYLE: 25,
}
"""Images for each member. Couples count as characters, assets as clothing, poses and styles as concepts: our choice,
where the rule is silent."""
FLOOR = 5
"""Fewer images of a member than this teach nothing (D1)."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """Findings only for a bundle: too few images of a member, images of nobody, two members in one image's tags."""
    if not evidence.bundle:
        return
    wanted = WANTED[evidence.subject]
    for name in evidence.bundle:
        count = len({item.facts.sha256 for item in evidence.items if item.member == name})
        if count < wanted:
            level = "error" if count < FLOOR else "note"
            message = (
                f"{name}: {count} of the {wanted} different images that each {evidence.subject.value} should have."
            )
            advice = f"Add images to its folders, or train it alone: {wanted} keep the members of a bundle apart."
            yield Finding("D3", level, message, advice)  # type: ignore[arg-type]
    yield from _nobodys(evidence)
    yield from _clashes(evidence)


def _nobodys(evidence: Evidence) -> Iterator[Finding]:
    names = tuple(item.name for item in evidence.items if item.member is None)
    if names:
        message = f"in no member's folder: {len(names)} of {len(evidence.items)} images."
        advice = "Name their folder in a [bundle.NAME] table of lora.toml, or take them out."
        yield Finding("D3", "warning", message, advice, names)


def _clashes(evidence: Evidence) -> Iterator[Finding]:
    """Images of one member whose tags call another one."""
    calls = {name: plain(member.trigger) for name, member in evidence.bundle.items()}
    for name, trigger in calls.items():
        for other in calls:
            images = tuple(
                item.name for item in evidence.items if item.member == other and trigger in _said(evidence, item.name)
            )
            if other != name and images:
                message = f"{len(images)} of {other}'s images: tagged {trigger}, which calls {name}."
                advice = f"Move them to {name}'s folder, or take the word out of their captions."
                yield Finding("D3", "warning", message, advice, images)


def _said(evidence: Evidence, name: str) -> set[str]:
    return {plain(tag) for tag in evidence.tags.get(name, ())}


RULE = Rule("D3", "every member of a bundle has enough images of its own", check)
