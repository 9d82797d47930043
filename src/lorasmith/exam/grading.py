"""From judged pictures to figures: which answers are right, what leaked, what the base does alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lorasmith.exam.figures import Figure, entropy_ratio, paired_ratio, share
from lorasmith.exam.judges import Attributes
from lorasmith.exam.questions import Question
from lorasmith.exam.subject import Subject

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Answer:
    """One question answered by the adapter and (where it was asked) by the base, as judged; pictures are small."""

    question: Question
    seen: Attributes
    base_seen: Attributes | None
    picture: Image
    base_picture: Image | None


def right(question: Question, seen: Attributes, base_seen: Attributes | None, subject: Subject) -> bool:
    """Whether an answer is as it should be: identity there (hit), and the value asked for too (flexibility), or
    nothing changed against the base (leakage), or no trait came uncalled (untriggered)."""
    if question.kind == "leakage":
        return base_seen is not None and not changed(seen, base_seen, question.hidden)
    if question.kind == "untriggered":
        return base_seen is not None and not intruded(question, seen, base_seen, subject)
    return subject.recognised(seen, question.hidden) and shows(question.asked, seen)


def shows(asked: Mapping[str, str], seen: Attributes) -> bool:
    """Whether every value asked for is seen."""
    return all(seen.get(group) == tag for group, tag in asked.items())


def changed(seen: Attributes, base_seen: Attributes, hidden: frozenset[str]) -> list[str]:
    """The groups in which two pictures of one seed differ, but for those that the prompt hides."""
    return [group for group, tag in seen.items() if group not in hidden and base_seen.get(group) != tag]


def intruded(question: Question, seen: Attributes, base_seen: Attributes, subject: Subject) -> bool:
    """Whether a trait of the subject appeared where the base does not draw it."""
    differing = changed(seen, base_seen, question.hidden)
    return any(seen.get(group) == subject.identity.get(group) for group in differing)


def grade(answers: Sequence[Answer], subject: Subject) -> tuple[dict[str, Figure], dict[str, Figure]]:
    """The figures of the adapter and of the base on the same seeds (copying is measured elsewhere).

    hit_rate: whole identity (C2). identity.<group>: each trait alone. flexibility: value asked for and identity,
    over the base's own success with that value (C4); flexibility_raw is not divided. leakage: pictures without the
    trigger that changed in any attribute (C6); intrusion: that took on a trait; untriggered: the same
    for prompts like the captions, but without the trigger. diversity: entropy of the free
    attributes over the base's.
    """
    hits = [a for a in answers if a.question.kind == "hit"]
    flexible = [a for a in answers if a.question.kind == "flexibility"]
    leaks = [a for a in answers if a.question.kind == "leakage"]
    uncalled = [a for a in answers if a.question.kind == "untriggered"]
    base_hits = [(a.question, a.base_seen) for a in hits if a.base_seen is not None]
    met = [right(a.question, a.seen, a.base_seen, subject) for a in flexible]
    able = [shows(a.question.asked, a.base_seen or {}) for a in flexible]
    free = [g for g in subject.shown if g not in subject.identity]
    ours = {
        "hit_rate": share([subject.recognised(a.seen, a.question.hidden) for a in hits]),
        "flexibility": paired_ratio(met, able),
        "flexibility_raw": share(met),
        "leakage": share([bool(changed(a.seen, a.base_seen or {}, a.question.hidden)) for a in leaks]),
        "intrusion": share([intruded(a.question, a.seen, a.base_seen or {}, subject) for a in leaks]),
        "untriggered": share([intruded(a.question, a.seen, a.base_seen or {}, subject) for a in uncalled]),
        "diversity": entropy_ratio(
            [[a.seen.get(g) for g in free] for a in hits if free],
            [[seen.get(g) for g in free] for _, seen in base_hits if free],
        ),
        **{
            f"identity.{group}": share([a.seen.get(group) == tag for a in hits if group not in a.question.hidden])
            for group, tag in subject.identity.items()
        },
    }
    base = {
        "hit_rate": share([subject.recognised(seen, question.hidden) for question, seen in base_hits]),
        "flexibility": share(able),
        **{
            f"identity.{group}": share(
                [seen.get(group) == tag for question, seen in base_hits if group not in question.hidden]
            )
            for group, tag in subject.identity.items()
        },
    }
    return ours, base
