"""The exam's report: one HTML file with its pictures inside, for someone who never trained an adapter before.

Pictures first, then figures in plain words with their intervals, then what to do next. The page is
`templates/exam.html`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.exam.copying import Copying
from lorasmith.exam.figures import Figure
from lorasmith.exam.grading import Answer, changed, right
from lorasmith.exam.judges import summarise_rates
from lorasmith.exam.selection import Choice
from lorasmith.exam.subject import Subject
from lorasmith.exam.verdict import WORTHY, Verdict
from lorasmith.templates import render

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pictures in each strip of the page.
STRIP = 16
#: Copies shown: the nearest pairs.
PAIRS = 4


@dataclass(frozen=True)
class GridRow:
    """One line of the grid: a snapshot at every strength, and the bare base as control."""

    snapshot: Path
    control: Image
    cells: tuple[Image, ...]
    prompt: str


@dataclass(frozen=True)
class Shown:
    """Everything that the page shows."""

    name: str
    subject: Subject
    verdict: Verdict
    choice: Choice
    answers: Sequence[Answer]
    grid: Sequence[GridRow]
    strengths: Sequence[float]
    training: Sequence[Image]
    copies: Copying
    error_rates: Mapping[str, Any]
    judge: str


def write_report(shown: Shown) -> str:
    """The page as HTML; it needs no network and no script."""
    verdict = shown.verdict
    hit = verdict.figures["hit_rate"]
    return render(
        "exam.html",
        name=shown.name,
        subject=shown.subject,
        verdict=verdict,
        choice=shown.choice,
        tone="ready" if hit.low >= WORTHY else "maybe" if hit.value >= WORTHY else "not",
        hits=_strip(shown, "hit"),
        grid=shown.grid,
        strengths=shown.strengths,
        unseen=[value for group in shown.subject.unseen.values() for value in group],
        flexibility=_strip(shown, "flexibility"),
        leakage=_strip(shown, "leakage"),
        untriggered=_strip(shown, "untriggered"),
        figures=list(_lines(shown)),
        copies=_copies(shown),
        copy_distance=shown.copies.distance,
        judge=shown.judge,
        rates=_rates(shown.error_rates),
    )


@dataclass(frozen=True)
class _Pair:
    """A picture with the base's below it; `good`: as it should be, and `text` says what is wrong."""

    picture: Image
    base: Image | None
    prompt: str
    good: bool
    text: str


def _strip(shown: Shown, kind: str) -> list[_Pair]:
    answers = [answer for answer in shown.answers if answer.question.kind == kind][:STRIP]
    return [_pair(answer, shown.subject) for answer in answers]


def _pair(answer: Answer, subject: Subject) -> _Pair:
    good = right(answer.question, answer.seen, answer.base_seen, subject)
    caption = _caption(answer, good, subject)
    return _Pair(answer.picture, answer.base_picture, answer.question.prompt, good, caption)


def _caption(answer: Answer, good: bool, subject: Subject) -> str:
    """What the caption says: the words that matter, and what is wrong."""
    kind = answer.question.kind
    if kind == "leakage":
        groups = changed(answer.seen, answer.base_seen or {}, answer.question.hidden)
        return "unchanged" if good else "changed: " + ", ".join(groups)
    if kind == "untriggered":
        traits = [g for g in subject.identity if answer.seen.get(g) == subject.identity[g]]
        return "no trait came" if good else "came uncalled: " + ", ".join(traits)
    hidden = answer.question.hidden
    asked = ", ".join(answer.question.asked.values())
    missed = [tag for group, tag in subject.identity.items() if tag != answer.seen.get(group) and group not in hidden]
    missed += [tag for group, tag in answer.question.asked.items() if answer.seen.get(group) != tag]
    words = asked or answer.question.prompt.removeprefix(f"{subject.trigger}, ")
    return words if good else f"{words}. Not seen: {', '.join(missed)}"


#: figure -> (what it asks, in plain words; whether high is good)
_WORDS: Mapping[str, tuple[str, str]] = {
    "hit_rate": (
        "Does the subject appear when it is called?",
        "Share of pictures with every trait right (hit rate). Worth publishing from 80 % on.",
    ),
    "flexibility": (
        "Does it take on things it never saw?",
        "Share with both the new thing and the subject, measured against what the base itself can draw"
        " (flexibility). The base's column is that ceiling.",
    ),
    "leakage": (
        "Does it stay out of pictures that do not call it?",
        "Share of such pictures in which anything changed (leakage). Lower is better; 0 is perfect.",
    ),
    "intrusion": (
        "Do its traits turn up uncalled?",
        "Share of such pictures that took on one of its traits (intrusion). Lower is better.",
    ),
    "untriggered": (
        "Does it need its trigger?",
        "Share of pictures of its own captions, but without the trigger, that took on one of its traits"
        " (untriggered). Lower is better.",
    ),
    "copying": (
        "Does it repeat its training images?",
        "Share of pictures as near to a training image as copies are, above chance (copying). Lower is better.",
    ),
    "diversity": (
        "Do the pictures vary?",
        "Variety of what was left free, against the base's on the same prompts (diversity). Higher is better.",
    ),
}


@dataclass(frozen=True)
class _Line:
    """A question with its figure, and the base's if that was asked, too."""

    question: str
    words: str
    figure: Figure
    base: Figure | None


def _lines(shown: Shown) -> Iterator[_Line]:
    figures, base = shown.verdict.figures, shown.verdict.base
    for name, (question, words) in _WORDS.items():
        yield _Line(question, words, figures[name], base.get(name))
    for name, figure in figures.items():
        if name.startswith("identity."):
            group = name.removeprefix("identity.")
            yield _Line(f"Trait: {group} ({shown.subject.identity[group]})", "", figure, base.get(name))


@dataclass(frozen=True)
class _Copy:
    drawn: Image
    training: Image
    distance: float


def _copies(shown: Shown) -> list[_Copy]:
    """The nearest pairs of a drawn picture and a training image."""
    hits = [answer for answer in shown.answers if answer.question.kind == "hit"]
    distances = shown.copies.distances
    if not distances or len(hits) != len(distances):
        return []
    order = sorted(range(len(hits)), key=lambda i: distances[i])[:PAIRS]
    return [_Copy(hits[i].picture, shown.training[shown.copies.nearest[i]], distances[i]) for i in order]


def _rates(rates: Mapping[str, Any]) -> str:
    return "; ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in summarise_rates(rates).items())
