"""The exam's report: one HTML file with its pictures inside, for someone who never trained an adapter before.

Pictures first, then figures in plain words with their intervals, then what to do next. The page is
`report.html` beside this module, a `string.Template`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from lorasmith.exam.copying import Copying
from lorasmith.exam.figures import Figure
from lorasmith.exam.grading import Answer, changed, right
from lorasmith.exam.judges import summarise_rates
from lorasmith.exam.selection import Choice
from lorasmith.exam.subject import Subject
from lorasmith.exam.verdict import WORTHY, Verdict
from lorasmith.remedies import Do, Remedy, Sentence

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
    """The page as HTML. Every text from outside is escaped; it needs no network and no script."""
    template = Template(files("lorasmith.exam").joinpath("report.html").read_text("utf-8"))
    hit = shown.verdict.figures["hit_rate"]
    return template.substitute(
        name=escape(shown.name),
        kind=escape(shown.subject.kind),
        trigger=escape(shown.subject.trigger),
        identity=escape(", ".join(shown.subject.identity.values())),
        tone="ready" if hit.low >= WORTHY else "maybe" if hit.value >= WORTHY else "not",
        summary=escape(shown.verdict.summary),
        choice_line=_choice_line(shown),
        hit_pictures=_strip(shown, "hit"),
        grid_prompt=escape(shown.grid[0].prompt) if shown.grid else "",
        grid=_grid(shown),
        flexibility_section=_flexibility_section(shown),
        leak_pictures=_strip(shown, "leakage"),
        untriggered_section=_untriggered_section(shown),
        figures=_figures(shown),
        copy_section=_copy_section(shown),
        advice="".join(f"<li>{_with_code(line)}</li>" for line in shown.verdict.advice),
        rounds=_rounds(shown.choice),
        trust=_trust(shown),
    )


def _choice_line(shown: Shown) -> str:
    name = f"<code>{escape(shown.choice.chosen.name)}</code>"
    if len(shown.choice.answers) == 1:
        return f"One file was examined: {name}."
    if shown.choice.clear:
        return f"The best snapshot is {name}, clearly ahead of the others."
    return (
        f"No clear winner: {len(shown.choice.tied)} snapshots did equally well as far as these pictures can tell."
        f" The earliest of them was taken, {name}, because what is trained less is spoilt less."
    )


def _strip(shown: Shown, kind: str) -> str:
    answers = [answer for answer in shown.answers if answer.question.kind == kind][:STRIP]
    return "".join(_pair(answer, shown.subject) for answer in answers)


def _untriggered_section(shown: Shown) -> str:
    pictures = _strip(shown, "untriggered")
    if not pictures:
        return ""
    return (
        '<section><h2>When its own captions come without the trigger</h2><p class="soft">The words of the scene alone'
        " should give what the base gives: with the adapter above, without it below.</p>"
        f'<div class="strip">{pictures}</div></section>'
    )


def _pair(answer: Answer, subject: Subject) -> str:
    good = right(answer.question, answer.seen, answer.base_seen, subject)
    mark = '<span class="right">✓</span>' if good else '<span class="wrong">✗</span>'
    below = f'<div class="base">{_image(answer.base_picture, "the bare base")}</div>' if answer.base_picture else ""
    prompt = answer.question.prompt
    return (
        f"<figure>{_image(answer.picture, prompt)}{below}"
        f"<figcaption>{mark} {escape(_told(answer, good, subject))}</figcaption></figure>"
    )


def _told(answer: Answer, good: bool, subject: Subject) -> str:
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


def _grid(shown: Shown) -> str:
    heads = "".join(f"<th>strength {strength:g}</th>" for strength in shown.strengths)
    lines = [f"<tr><th></th><th>no adapter</th>{heads}</tr>"]
    for row in shown.grid:
        chosen = row.snapshot == shown.choice.chosen
        cells = "".join(f"<td>{_image(cell, f'{row.snapshot.stem} at {s:g}')}</td>" for cell, s in _zip(row, shown))
        lines.append(
            f'<tr{" class=chosen" if chosen else ""}><th class="row">{escape(row.snapshot.stem)}'
            f"{'<br>chosen' if chosen else ''}</th><td>{_image(row.control, 'no adapter')}</td>{cells}</tr>"
        )
    return "".join(lines)


def _zip(row: GridRow, shown: Shown) -> Iterable[tuple[Image, float]]:
    return zip(row.cells, shown.strengths, strict=True)


def _flexibility_section(shown: Shown) -> str:
    if not shown.verdict.figures["flexibility_raw"].n:
        return ""
    values = ", ".join(value for group in shown.subject.unseen.values() for value in group)
    return (
        "<section><h2>Things it was never trained with</h2>"
        f'<p class="soft">Asked for, one at a time: {escape(values)}. Below each picture: the bare base asked for'
        " the same thing, which shows what can be expected at all.</p>"
        f'<div class="strip">{_strip(shown, "flexibility")}</div></section>'
    )


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


def _figures(shown: Shown) -> str:
    lines = []
    for name, (question, words) in _WORDS.items():
        figure, base = shown.verdict.figures[name], shown.verdict.base.get(name)
        lines.append(
            f'<tr><th>{question}<br><span class="soft" style="font-weight:400;font-size:.88rem">{words}</span></th>'
            f"<td>{_figure(figure)}</td><td>{_figure(base) if base else ''}</td></tr>"
        )
    for name, figure in shown.verdict.figures.items():
        if name.startswith("identity."):
            group = name.removeprefix("identity.")
            label = f"Trait: {escape(group)} ({escape(shown.subject.identity[group])})"
            base = shown.verdict.base.get(name)
            lines.append(f"<tr><th>{label}</th><td>{_figure(figure)}</td><td>{_figure(base) if base else ''}</td></tr>")
    return "".join(lines)


def _figure(figure: Figure) -> str:
    if not figure.n:
        return '<span class="soft">not measured</span>'
    low, high = figure.low * 100, figure.high * 100
    return (
        f'<span class="number">{figure.value * 100:.0f} %</span>'
        f' <span class="soft">{low:.0f} to {high:.0f} %, n = {figure.n}</span>'
        f'<div class="scale"><div class="span" style="left:{low:.1f}%;width:{max(0.0, high - low):.1f}%"></div>'
        f'<div class="dot" style="left:{figure.value * 100:.1f}%"></div></div>'
    )


def _copy_section(shown: Shown) -> str:
    hits = [answer for answer in shown.answers if answer.question.kind == "hit"]
    if not shown.copies.distances or len(hits) != len(shown.copies.distances):
        return ""
    order = sorted(range(len(hits)), key=lambda i: shown.copies.distances[i])[:PAIRS]
    pairs = "".join(
        f"<figure>{_image(hits[i].picture, 'drawn')}"
        f'<div class="base">{_image(shown.training[shown.copies.nearest[i]], "training image")}</div>'
        f"<figcaption>distance {shown.copies.distances[i]:.3f}</figcaption></figure>"
        for i in order
    )
    return (
        "<section><h2>The likeliest copies</h2>"
        '<p class="soft">The drawn pictures nearest to a training image (above), and that training image (below).'
        f" Nearer than {shown.copies.distance:.3f} counts as a copy.</p>"
        f'<div class="strip">{pairs}</div></section>'
    )


def _rounds(choice: Choice) -> str:
    lines = []
    for path, answers in choice.answers.items():
        score = f"{sum(answers)} ({sum(answers) / len(answers) * 100:.0f} %)" if answers else "not asked"
        name = escape(path.name)
        lines.append(
            f"<tr><td>{f'<strong>{name}</strong>' if path == choice.chosen else name}</td>"
            f"<td>{len(answers)}</td><td>{score}</td></tr>"
        )
    return "".join(lines)


def _trust(shown: Shown) -> str:
    rates = _rates(shown.error_rates)
    known = (
        f"The judge itself errs: {rates}. No figure above can be surer than that."
        if rates
        else "The judge's own error rate is not known for these pictures, so take small differences lightly."
    )
    return (
        f"A machine judged the pictures ({escape(shown.judge)} judge). {known} The intervals cover the chance of"
        " the seeds, not the chance of training: another training run would give another adapter."
    )


def _rates(rates: Mapping[str, Any]) -> str:
    told = (f"{key.replace('_', ' ')} {value:.3g}" for key, value in summarise_rates(rates).items())
    return escape("; ".join(told))


def _with_code(advice: str | Remedy) -> str:
    """Advice with what is to be done set as code."""
    parts = advice.parts if isinstance(advice, Sentence) else (advice,)
    texts = [(escape(str(part), quote=False), isinstance(part, Do)) for part in parts]
    return "".join(f"<code>{text}</code>" if done else text for text, done in texts)


def _image(image: Image, words: str) -> str:
    out = io.BytesIO()
    image.convert("RGB").save(out, format="WEBP", quality=88)
    data = base64.b64encode(out.getvalue()).decode("ascii")
    return f'<img alt="{escape(words)}" title="{escape(words)}" src="data:image/webp;base64,{data}">'
