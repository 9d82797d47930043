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
from lorasmith.exam.grading import Answer
from lorasmith.exam.judges import summarise_rates
from lorasmith.exam.selection import Arm, Choice
from lorasmith.exam.stacking import Stack
from lorasmith.exam.standards import Standards, changed
from lorasmith.exam.strength import USABLE, Window
from lorasmith.exam.subject import Subject
from lorasmith.exam.verdict import BROKEN, WORTHY, Verdict
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
class StripCell:
    """The strength strip: one prompt and seed at each strength."""

    strength: float
    picture: Image
    good: bool
    prompt: str


@dataclass(frozen=True)
class Shown:
    """Everything that the page shows."""

    name: str
    subject: Subject
    standards: Standards
    verdict: Verdict
    choice: Choice[Arm]
    window: Window
    strip: Sequence[StripCell]
    stacks: Sequence[Stack]
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
    hit, broken = verdict.figures["hit_rate"], verdict.figures["broken"]
    burnt = bool(broken.n) and broken.low > BROKEN
    return render(
        "exam.html",
        name=shown.name,
        subject=shown.subject,
        verdict=verdict,
        choice=shown.choice,
        judged=shown.standards.tell(),
        tone="not" if burnt else "ready" if hit.low >= WORTHY else "maybe" if hit.value >= WORTHY else "not",
        hits=_strip(shown, "hit"),
        window=shown.window,
        plot=_plot(shown.window),
        steps=shown.strip,
        grid=shown.grid,
        strengths=shown.strengths,
        unseen=[value for group in shown.subject.unseen.values() for value in group],
        flexibility=_strip(shown, "flexibility"),
        override=_strip(shown, "override"),
        leakage=_strip(shown, "leakage"),
        untriggered=_strip(shown, "untriggered"),
        stacks=shown.stacks,
        figures=list(_lines(shown)),
        copies=_copies(shown),
        copy_distance=shown.copies.distance,
        judge=shown.judge,
        rates=_rates(shown.error_rates),
    )


#: The plot of the window, in pixels.
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 220, 44, 30


@dataclass(frozen=True)
class _Dot:
    """A strength in the plot: where it stands, its value and interval (y in pixels), and how many pictures break."""

    x: float
    y: float
    top: float
    bottom: float
    broken: float
    strength: float
    text: str


@dataclass(frozen=True)
class _Plot:
    dots: Sequence[_Dot]
    line: str
    broken: str
    bar: float
    usable: tuple[float, float] | None
    recommended: float
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    base: int = HEIGHT - BOTTOM


def _plot(window: Window) -> _Plot | None:
    """Hits by strength with their intervals, the usable range, and the broken pictures; None without a window."""
    points = window.points
    if len(points) < 2:
        return None
    first, last = points[0].strength, points[-1].strength

    def across(strength: float) -> float:
        return LEFT + 16 + (strength - first) / (last - first) * (WIDTH - LEFT - 40)

    def up(share: float) -> float:
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - 14)

    dots = [
        _Dot(
            across(point.strength),
            up(point.hits.value),
            up(point.hits.high),
            up(point.hits.low),
            up(point.broken.value),
            point.strength,
            f"strength {point.strength:g}: {point.hits.value:.0%} hits ({point.hits.low:.0%} to {point.hits.high:.0%},"
            f" n = {point.hits.n}), {point.broken.value:.0%} broken",
        )
        for point in points
    ]
    usable = None if window.low is None or window.high is None else (across(window.low), across(window.high))
    return _Plot(
        dots,
        " ".join(f"{dot.x:.1f},{dot.y:.1f}" for dot in dots),
        " ".join(f"{dot.x:.1f},{dot.broken:.1f}" for dot in dots),
        up(USABLE),
        usable,
        across(min(max(window.recommended, first), last)),
    )


@dataclass(frozen=True)
class JudgedPicture:
    """A picture with the base's below it; `good`: as it should be, and `text` says what is wrong."""

    picture: Image
    base: Image | None
    prompt: str
    good: bool
    text: str


def _strip(shown: Shown, kind: str) -> list[JudgedPicture]:
    return judged_pictures(shown, kind, STRIP)


def judged_pictures(shown: Shown, kind: str, most: int) -> list[JudgedPicture]:
    """The first pictures that answer questions of a kind, and what the judge said of each."""
    answers = [answer for answer in shown.answers if answer.question.kind == kind][:most]
    return [_pair(answer, shown) for answer in answers]


def _pair(answer: Answer, shown: Shown) -> JudgedPicture:
    good = shown.standards.right(answer.question, answer.look, answer.base)
    return JudgedPicture(
        answer.look.picture, answer.base_picture, answer.question.prompt, good, _caption(answer, good, shown)
    )


def _caption(answer: Answer, good: bool, shown: Shown) -> str:
    """What the caption says: the words that matter, and what is wrong."""
    question, seen, subject, standards = answer.question, answer.look.seen, shown.subject, shown.standards
    if question.kind == "leakage":
        groups = [] if answer.base is None else changed(answer.look, answer.base, question)
        return "unchanged" if good else "changed: " + ", ".join(groups)
    if question.kind == "untriggered":
        traits = [g for g in subject.identity if seen.get(g) == subject.identity[g]] or ["its likeness"]
        return "no trait came" if good else "came uncalled: " + ", ".join(traits)
    wanted = {**subject.identity, **question.asked}
    missed = [tag for group, tag in wanted.items() if tag != seen.get(group) and group not in question.hidden]
    faults = standards.faults(answer.look)
    if faults:
        missed.append(f"a whole picture ({', '.join(faults)})")
    elif not missed:
        missed.append("the likeness")
    words = ", ".join(question.asked.values()) or question.prompt.removeprefix(f"{subject.trigger}, ")
    return words if good else f"{words}. Not seen: {', '.join(missed)}"


#: figure -> (what it asks, in plain words; whether high is good)
WORDS: Mapping[str, tuple[str, str]] = {
    "hit_rate": (
        "Does the subject appear when it is called?",
        "Share of whole pictures with every trait right and like the training images (hit rate). Worth publishing from"
        " 80 % on.",
    ),
    "words": ("By words alone?", "Share in which the judge reads every trait that it has a word for (words)."),
    "likeness": (
        "By looks alone?",
        "Share that is as like the training images as these are like each other (likeness).",
    ),
    "broken": (
        "Are the pictures whole?",
        "Share that is burnt or mangled: outside the range of the base's own pictures in sharpness, contrast, colour or"
        " likeness (broken). Lower is better; the base's column is what chance costs.",
    ),
    "flexibility": (
        "Does it take on things it never saw?",
        "Share with both the new thing and the subject, measured against what the base itself can draw"
        " (flexibility). The base's column is that ceiling.",
    ),
    "override": (
        "Does it give way when it is contradicted?",
        "Share with the contradicting value and all other traits, measured against the base (override).",
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
    for name, (question, words) in WORDS.items():
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
    return [_Copy(hits[i].look.picture, shown.training[shown.copies.nearest[i]], distances[i]) for i in order]


def _rates(rates: Mapping[str, Any]) -> str:
    return "; ".join(f"{key.replace('_', ' ')} {value:.3g}" for key, value in summarise_rates(rates).items())
