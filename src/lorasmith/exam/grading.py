"""From judged pictures to figures: which answers are right, what leaked, what the base does alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lorasmith.exam.figures import Figure, entropy_ratio, paired_ratio, share
from lorasmith.exam.looks import Look
from lorasmith.exam.questions import Question
from lorasmith.exam.standards import Standards, changed

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Answer:
    """One question answered by the adapter and (where it was asked) by the base."""

    question: Question
    look: Look
    base: Look | None

    @property
    def base_picture(self) -> Image | None:
        """The base's picture on the same seed, where it was asked."""
        return None if self.base is None else self.base.picture


def grade(answers: Sequence[Answer], standards: Standards) -> tuple[dict[str, Figure], dict[str, Figure]]:
    """The figures of the adapter and of the base on the same seeds (copying is measured elsewhere).

    hit_rate: whole identity, by words and by likeness, in a whole picture (C2); words, likeness and broken are its
    parts. identity.<group>: each trait alone. flexibility: value asked for and identity, over the base's own success
    with that value (C4); flexibility_raw is not divided. override: the same where the value contradicts a trait.
    leakage: pictures without the trigger that changed in any attribute (C6); intrusion: that took on a trait;
    untriggered: the same for prompts like the captions, but without the trigger. diversity: entropy of the free
    attributes over the base's.
    """
    subject = standards.subject
    of = {kind: [a for a in answers if a.question.kind == kind] for kind in _KINDS}
    hits = of["hit"]
    base_hits = [(a.question, a.base) for a in hits if a.base is not None]
    free = [g for g in subject.shown if g not in subject.identity]
    likeness = [standards.is_like(a.look) for a in hits] if standards.likeness.judges else []
    ours = {
        "hit_rate": share([standards.hit(a.question, a.look) for a in hits]),
        "words": share([standards.says(a.question, a.look) for a in hits] if subject.identity else []),
        "likeness": share(likeness),
        "broken": share([bool(standards.faults(a.look)) for a in hits]),
        **_flexibility("flexibility", of["flexibility"], standards),
        **_flexibility("override", of["override"], standards),
        "leakage": share([a.base is not None and bool(changed(a.look, a.base, a.question)) for a in of["leakage"]]),
        "intrusion": share([_intrudes(a, standards) for a in of["leakage"]]),
        "untriggered": share([_intrudes(a, standards) for a in of["untriggered"]]),
        "diversity": entropy_ratio(
            [[a.look.seen.get(g) for g in free] for a in hits if free],
            [[look.seen.get(g) for g in free] for _, look in base_hits if free],
        ),
        **{
            f"identity.{group}": share([a.look.seen.get(group) == tag for a in hits if group not in a.question.hidden])
            for group, tag in subject.identity.items()
        },
    }
    base = {
        "hit_rate": share([standards.hit(question, look) for question, look in base_hits]),
        "broken": standards.base_broken,
        "flexibility": share([_able(a) for a in of["flexibility"]]),
        "override": share([_able(a) for a in of["override"]]),
        **{
            f"identity.{group}": share(
                [look.seen.get(group) == tag for question, look in base_hits if group not in question.hidden]
            )
            for group, tag in subject.identity.items()
        },
    }
    return ours, base


_KINDS = ("hit", "flexibility", "override", "leakage", "untriggered")


def _flexibility(name: str, answers: Sequence[Answer], standards: Standards) -> dict[str, Figure]:
    met = [standards.kept(a.question, a.look) for a in answers]
    return {name: paired_ratio(met, [_able(a) for a in answers]), f"{name}_raw": share(met)}


def _able(answer: Answer) -> bool:
    """Whether the base by itself shows what was asked for."""
    seen = {} if answer.base is None else answer.base.seen
    return all(seen.get(group) == tag for group, tag in answer.question.asked.items())


def _intrudes(answer: Answer, standards: Standards) -> bool:
    return answer.base is not None and standards.intrudes(answer.question, answer.look, answer.base)
