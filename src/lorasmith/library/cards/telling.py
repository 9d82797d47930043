"""What a card says, section by section, in words that every hub's form takes; `so` stands what is typed as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from lorasmith.exam.advice import COPYING, FLEXIBLE, LEAKING, UNCALLED
from lorasmith.exam.showcase import RED_FLAG
from lorasmith.exam.verdict import BROKEN, WORTHY
from lorasmith.library.cards.card import Card, CardExam, CardFigure
from lorasmith.remedies import Action, Do

FIGURES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "hit_rate": ("hit rate", "pictures that show all of it when it is called"),
        "likeness": ("likeness", "pictures as like the training pictures as those are like each other"),
        "flexibility": ("flexibility", "of the new things that the base itself can draw, drawn with it"),
        "override": ("override", "of the prompts against one of its traits that the base can draw, drawn with it"),
        "leakage": ("leakage", "pictures that do not call it and are changed all the same; less is better"),
        "untriggered": (
            "without trigger",
            "pictures of its captions without the trigger that show traits; less is better",
        ),
        "copying": ("copying", "pictures as near to a training picture as copies are, above chance; less is better"),
        "diversity": ("diversity", "variety of what the prompt leaves free, against the base's"),
        "broken": ("broken", "pictures that are burnt or mangled, against the base's own; less is better"),
    }
)
"""What is told of an exam, in this order: what a figure is called, and what it counts."""
BY_EYE = "showcase pictures that somebody looked at and kept"
NOT_MEASURED = "not measured"
FEW_IMAGES = 5
"""D1: an adapter of fewer pictures than this is mediocre."""
SHOWN_UNSEEN = 12


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, a table with its heads, points of a list; `lines` say the table where there are none."""

    title: str
    paragraphs: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    points: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


def tell_sections(card: Card) -> tuple[Section, ...]:
    """All that is said below the name and the vision."""
    return tuple(
        section
        for section in (
            _triggers(card),
            _use(card),
            _exam(card),
            Section("What it cannot do", points=tuple(_limits(card))),
            Section("Training", heads=("what", "value"), rows=card.training) if card.training else None,
            _dataset(card),
            _file(card),
        )
        if section is not None
    )


def tell_intro(card: Card) -> tuple[str, ...]:
    """The first lines: what it is, what it is for."""
    made = " and ".join(card.algorithm_titles) or "adapter"
    rank = f" of rank {card.rank}" if card.rank else ""
    what = f"A{_article(card.kind)} {card.kind}" if card.kind else "An adapter"
    base = f" ({card.base})" if card.base and card.base.lower() != card.family_title.lower() else ""
    return tuple(part for part in (card.vision, f"{what} for {card.family_title}{base}: a {made}{rank}.") if part)


def _article(word: str) -> str:
    return "n" if word[:1] in "aeiou" else ""


def _triggers(card: Card) -> Section:
    if not card.triggers:
        return Section("Trigger words", ("None is recorded.",))
    if list(card.triggers) == [""]:
        return Section("Trigger words", (f"You should use `{card.trigger}` to call it.",))
    rows = tuple((name or card.name, f"`{trigger}`") for name, trigger in card.triggers.items())
    return Section("Trigger words", heads=("for", "write"), rows=rows)


def _use(card: Card) -> Section:
    exam = card.exam
    points = [f"Put `{card.name}.safetensors` into the folder for LoRAs and write `{card.call}, ...` in the prompt."]
    if card.measured and exam is not None and not exam.usable:
        points.append(f"Strength: {card.strength:g} did best, but none that was measured is usable.")
    elif card.measured:
        window = f"; usable from {card.window[0]:g} to {card.window[1]:g}" if card.window is not None else ""
        points.append(f"Recommended strength: {card.strength:g}{window} (measured).")
    elif exam is not None:
        points.append(f"Strength: it was examined at {exam.strength:g}; other strengths were not measured.")
    else:
        points.append(f"Strength: try {card.strength:g}; none was measured.")
    points.append(f"It fits bases of {card.family_title} only.")
    return Section("How to use it", points=tuple(points))


def _exam(card: Card) -> Section:
    exam = card.exam
    seen = [_row("kept by eye", BY_EYE, card.by_eye)] if card.by_eye is not None else []
    heads = ("figure", "value, 95 % interval", "base alone", "pictures", "counts")
    if exam is None:
        words = "Nobody has examined it: how often it hits is not known."
        return Section("Exam", (words,), heads if seen else (), tuple(seen), lines=tuple(_line(*row) for row in seen))
    told = [(*words, exam.figure(name)) for name, words in FIGURES.items() if name in exam.figures]
    told += [
        (f"trait: {name.partition('.')[2]}", "pictures with this trait right", figure)
        for name, figure in exam.figures.items()
        if name.startswith("identity.") and figure.n
    ]
    rows = [*seen, *(_row(*each) for each in told)]
    for each in exam.stacking:
        if each.get("n"):
            rows.append(
                (f"beside {each.get('with')}", _ratio(each), "", str(each["n"]), "both, over what each does alone")
            )
    said = (exam.verdict, *_judges(exam))
    return Section("Exam", said, heads, tuple(rows), lines=tuple(_line(*row) for row in rows))


def _ratio(stack: Mapping[str, Any]) -> str:
    """Joint success over the product of single ones, with its interval where that is known."""
    value = f"{stack.get('ratio', 0):.0%}"
    low, high = stack.get("ratio_low"), stack.get("ratio_high")
    return f"{value} ({low:.0%} to {high:.0%})" if low is not None and high is not None else value


def _line(name: str, value: str, base: str, count: str, counts: str) -> str:
    more = [f"base alone {base}"] * bool(base) + [f"{count} pictures"] * bool(count)
    return f"{name}: {', '.join((value, *more))} ({counts})"


def _judges(exam: CardExam) -> Iterator[str]:
    who = "a classifier that knows the base's world exactly" if exam.judge == "exact" else f"the tagger {exam.judge}"
    agreement = f", which was right in {exam.agreement:.1%} where it was checked" if exam.agreement is not None else ""
    yield f"Drawn on fresh seeds at strength {exam.strength:g}, judged by {who}{agreement}."
    if exam.judged:
        yield f"Judged: {', '.join(exam.judged)}."
    if exam.not_judged:
        yield f"Nobody could judge: {', '.join(exam.not_judged)}."


def _row(name: str, counts: str, figure: CardFigure | None) -> tuple[str, ...]:
    if figure is None:
        return name, NOT_MEASURED, "", "", counts
    value = f"{figure.value:.0%} ({figure.low:.0%} to {figure.high:.0%})"
    return name, value, "" if figure.base is None else f"{figure.base:.0%}", str(figure.n), counts


def _limits(card: Card) -> Iterator[str]:
    """What a user should not expect, from what was measured, and what nobody knows."""
    yield f"Draw with other bases than {card.family_title}."
    exam = card.exam
    if exam is None:
        yield "Nothing was measured: hit rate, flexibility and leakage are unknown."
        return
    if not exam.usable:
        yield "No strength was found at which it is usable (C3)."
    if card.by_eye is not None and card.by_eye.high < WORTHY:
        yield f"By eye {_rest(card.by_eye.value)} of {card.by_eye.n} pictures were not worth keeping (C2)."
    yield from _measured_limits(exam)
    if not card.measured:
        yield f"What it does at other strengths than {exam.strength:g} was not measured."
    missing = [FIGURES[name][0] for name in ("flexibility", "leakage") if exam.figure(name) is None]
    if missing:
        yield f"Not measured: {', '.join(missing)}."
    if exam.unseen:
        some = ", ".join(exam.unseen[:SHOWN_UNSEEN])
        more = f" and {len(exam.unseen) - SHOWN_UNSEEN} more" if len(exam.unseen) > SHOWN_UNSEEN else ""
        yield f"It never saw: {some}{more}."
    if card.images is not None and card.images < FEW_IMAGES:
        yield f"It was trained on {card.images} pictures only (D1)."


def _rest(share: float) -> str:
    """What is left of a share, so that both make a hundred."""
    return f"{100 - round(share * 100)}%"


def _measured_limits(exam: CardExam) -> Iterator[str]:
    hit = exam.figure("hit_rate")
    if hit is not None and hit.value < 1:
        yield f"Hit every time: {_rest(hit.value)} of the pictures miss (C2; up to {_rest(hit.low)} may)."
    traits = [(name, figure) for name, figure in exam.figures.items() if name.startswith("identity.") and figure.n]
    if traits:
        name, figure = min(traits, key=lambda each: each[1].value)
        if figure.value < WORTHY:
            yield f"Its weakest trait is {name.partition('.')[2]}: right in {figure.value:.0%}."
    flexible = exam.figure("flexibility")
    if flexible is not None and flexible.value < FLEXIBLE:
        yield f"New things come in only {flexible.value:.0%} of what the base can do alone (C4)."
    contrary = exam.figure("override")
    if contrary is not None and contrary.value < FLEXIBLE:
        yield f"Prompts against one of its traits win in only {contrary.value:.0%} of what the base can do alone (C4)."
    broken = exam.figure("broken")
    if broken is not None and broken.low > BROKEN:
        yield f"It breaks its pictures: {broken.value:.0%} are burnt or mangled."
    leaking = exam.figure("leakage")
    if leaking is not None and leaking.value > LEAKING:
        yield f"It changes {leaking.value:.0%} of pictures that do not call it: take its tag out for those (C6)."
    uncalled = exam.figure("untriggered")
    if uncalled is not None and uncalled.value > UNCALLED:
        yield f"It comes without its trigger in {uncalled.value:.0%} of pictures like its captions (C6)."
    copying = exam.figure("copying")
    if copying is not None and copying.low > COPYING:
        yield f"It repeats training pictures in {copying.value:.0%}."


def _dataset(card: Card) -> Section:
    """Where the pictures are from, and of a real person the consent."""
    said = []
    if card.images is not None:
        said.append(f"Trained on {card.images} pictures, repeats counted.")
    if card.source:
        said.append(f"Source: {card.source}.")
    if card.author:
        said.append(f"Author: {card.author}.")
    said.append(f"Licence: {card.licence or 'not recorded'}.")
    if not card.known_provenance:
        said.append("Whether it shows a real person is not recorded.")
    elif card.real_person:
        said.append(f"It shows a real person. Consent: {card.consent or 'NOT RECORDED'}.")
    else:
        said.append("It shows no real person.")
    rows = tuple(
        (str(each.count), each.place or "not recorded", each.author or "not recorded", each.licence or "not recorded")
        for each in card.sources
    )
    return Section("Dataset", tuple(said), ("pictures", "from", "author", "licence") if rows else (), rows)


def _file(card: Card) -> Section:
    rows = [("file", f"`{card.name}.safetensors`, {card.bytes / 1e6:.1f} MB")]
    rows += [(name, f"`{value}`") for name, value in card.hashes.items()]
    if card.made:
        rows.append(("made", card.made))
    return Section("File", heads=("what", "value"), rows=tuple(rows))


def tell_warnings(card: Card) -> Iterator[str]:
    """What who publishes it should know before: what is missing, and what readers take for a red flag."""
    if not card.licence:
        yield "No licence: say it in [provenance] licence, or give one."
    if card.known_provenance and not card.source and not card.sources:
        yield "Where the pictures are from is not recorded: [provenance] source."
    if card.real_person and not card.consent:
        yield "It shows a real person, and no consent is recorded: [provenance] consent."
    if card.exam is None:
        yield "It was not examined: the card has no figures."
    kept = sum(picture.mark == "keep" for picture in card.pictures)
    if len(card.pictures) <= RED_FLAG:
        draw = Do(Action.SHOWCASE, template="TEMPLATE", adapter=card.file)
        yield f"C7: {len(card.pictures)} pictures of this very file are a red flag in a showcase; twenty fit: {draw}"
    elif not kept:
        yield "C7: nobody has looked at the pictures: mark which of the showcase are kept."
