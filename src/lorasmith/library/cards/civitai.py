"""A card as Civitai's editor takes it: HTML of the few elements that the site keeps (no tables)."""

from __future__ import annotations

from collections.abc import Sequence

from lorasmith.library.cards.card import Card
from lorasmith.library.cards.telling import Section, tell_intro, tell_sections
from lorasmith.templates import render

FILE = "civitai.html"
KEPT = frozenset({"p", "strong", "em", "u", "s", "ul", "ol", "li", "a", "br", "code", "pre", "h1", "h2", "h3", "hr"})
"""The elements that the site leaves in a description, of those that are used or might be."""


def write_description(card: Card) -> str:
    """The description of a model, to be pasted or sent."""
    return render("card_civitai.html", intro=tell_intro(card), sections=tell_sections(card), split=split, lines=lines)


def lines(section: Section) -> list[list[tuple[str, bool]]]:
    """A section's table as points: the first column is the name of what the others say."""
    found = [split(line) for line in section.lines]
    for row in () if section.lines else section.rows:
        name, *values = row
        said = [
            f"{head} {value}" if head and number else value
            for number, (head, value) in enumerate(zip(section.heads[1:], values, strict=True))
            if value
        ]
        found.append([(name, False), *split(": " + "; ".join(said))] if name else split("; ".join(said)))
    return found


def split(text: str) -> list[tuple[str, bool]]:
    """A text in its parts: (words, whether they are typed as they stand)."""
    parts: Sequence[str] = text.split("`")
    if len(parts) % 2 == 0:
        return [(text, False)]
    return [(part, bool(number % 2)) for number, part in enumerate(parts) if part]
