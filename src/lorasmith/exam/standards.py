"""When is an answer right? What words can say, what only looking tells, and whether it is a whole picture at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lorasmith.exam.contact import COPY_SIDE
from lorasmith.exam.figures import Figure, share
from lorasmith.exam.likeness.calibration import NOBODY, Likeness, calibrate
from lorasmith.exam.likeness.quality import Range, find_range
from lorasmith.exam.likeness.twins import make_twins
from lorasmith.exam.looks import Look, stack_vectors
from lorasmith.exam.questions import Question
from lorasmith.exam.subject import Subject
from lorasmith.tags.encoders import Encoder


@dataclass(frozen=True)
class Standards:
    """The subject in words, the line of likeness, and the range of whole pictures. `base_broken`: how many of the bare
    base's own pictures fall out of that range, which is what chance (and the base) costs."""

    subject: Subject
    likeness: Likeness
    whole: Range
    base_broken: Figure

    def says(self, question: Question, look: Look) -> bool:
        """Whether the judge reads all that it must: identity and what was asked for. A contradicted trait (override)
        counts by what was asked for."""
        kept = {group: tag for group, tag in self.subject.identity.items() if group not in question.asked}
        wanted = {**kept, **question.asked}
        return all(look.seen.get(group) == tag for group, tag in wanted.items() if group not in question.hidden)

    def is_like(self, look: Look) -> bool:
        """Whether it is like the training images; True where likeness abstains."""
        return self._reaches(look, self.likeness.threshold)

    def resembles(self, look: Look) -> bool:
        """Whether it is nearer to the training images than to the base's: for pictures of what was never trained."""
        return self._reaches(look, self.likeness.midway)

    def faults(self, look: Look) -> tuple[str, ...]:
        """Why it is no whole picture, by name; nothing when it is one."""
        return self.whole.faults(look.measured, look.vector)

    def hit(self, question: Question, look: Look) -> bool:
        """Identity by words and by likeness, in a whole picture."""
        return self.says(question, look) and self.is_like(look) and not self.faults(look)

    def kept(self, question: Question, look: Look) -> bool:
        """What was asked for and the identity beside it, in a whole picture (flexibility, override)."""
        if question.kind == "override":  # a contradicted trait is less like the training images, as it should be
            return self.says(question, look) and not self.faults(look)
        return self.says(question, look) and self.resembles(look) and not self.faults(look)

    def intrudes(self, question: Question, look: Look, base: Look) -> bool:
        """Whether a trait turned up where the base does not draw it; without words for any, whether likeness did."""
        differing = [g for g in changed(look, base, question) if g in self.subject.identity]
        if any(look.seen.get(group) == self.subject.identity[group] for group in differing):
            return True
        return not self.subject.identity and self.is_like(look) and not self.is_like(base)

    def right(self, question: Question, look: Look, base: Look | None) -> bool:
        """Whether an answer is as it should be, by the kind of its question."""
        if question.kind == "leakage":
            return base is not None and not changed(look, base, question)
        if question.kind == "untriggered":
            return base is not None and not self.intrudes(question, look, base)
        return self.hit(question, look) if question.kind == "hit" else self.kept(question, look)

    @property
    def judged(self) -> tuple[str, ...]:
        """By what a hit is judged."""
        names = [*self.subject.identity, *(["likeness"] if self.likeness.judges else []), "whole pictures"]
        return tuple(names)

    @property
    def not_judged(self) -> tuple[str, ...]:
        """What nobody could judge: groups without a word for what is there, and likeness where it abstains."""
        return (*self.subject.unnamed, *([] if self.likeness.judges else ["likeness"]))

    def tell(self) -> str:
        """What was judged and what was not, in one line."""
        told = f"Judged: {', '.join(self.judged)}."
        if self.subject.unnamed:
            told += f" Nobody could judge by name: {', '.join(self.subject.unnamed)}."
        if not self.likeness.judges:
            auc = self.likeness.auc
            why = (
                f"it tells only {auc.value:.0%} of pairs ({auc.low:.0%} to {auc.high:.0%}) apart"
                if auc.n
                else "there is no encoder, or too few images"
            )
            told += f" Likeness abstains: {why}."
        return told

    def _reaches(self, look: Look, line: float) -> bool:
        if not self.likeness.judges or look.vector is None:
            return True
        return float(self.likeness.scores(look.vector[None])[0]) >= line


def changed(look: Look, base: Look, question: Question) -> list[str]:
    """The groups in which two pictures of one seed differ, but for those that the prompt hides."""
    seen = look.seen.items()
    return [group for group, tag in seen if group not in question.hidden and base.seen.get(group) != tag]


def set_standards(
    subject: Subject,
    training: Sequence[Look],
    drawn: Sequence[Look],
    described: Sequence[Look],
    encoder: Encoder | None = None,
) -> Standards:
    """From developed training images, and the bare base's pictures of the same prompts: as they stand (`drawn`) and
    with the subject's traits in words (`described`). `encoder`: the one that looked at them."""
    ours, theirs = stack_vectors(training), stack_vectors([*drawn, *described])
    likeness = NOBODY if ours is None or theirs is None else calibrate(ours, theirs)
    known = [*training, *drawn, *described]
    # NOTE: looks keep small copies; twins of copies that lost pixels would differ from their pictures by that, too.
    twins = (
        None
        if encoder is None or any(max(look.picture.size) >= COPY_SIDE for look in known)
        else encoder.encode(make_twins([look.picture for look in known]))
    )
    whole = find_range([look.measured for look in known], stack_vectors(known), twins)
    broken = share([bool(whole.faults(look.measured, look.vector)) for look in drawn])
    return Standards(subject, likeness, whole, broken)
