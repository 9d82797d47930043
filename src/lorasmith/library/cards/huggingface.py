"""A card as Hugging Face shows it: `README.md` with front matter, a gallery, and what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from lorasmith.library.cards.card import Card, picture_name
from lorasmith.library.cards.licences import licence_id, licence_slug
from lorasmith.library.cards.telling import Section, tell_intro, tell_sections

README = "README.md"
TAGS = ("text-to-image", "lora", "diffusers", "template:sd-lora")


def write_readme(card: Card) -> str:
    """The whole file."""
    matter = yaml.safe_dump(front_matter(card), sort_keys=False, allow_unicode=True, width=10_000)
    body = "\n\n".join(_body(card))
    return f"---\n{matter}---\n\n{body}\n"


def front_matter(card: Card) -> dict[str, Any]:
    """The table that the hub reads; a base that no hub has is left out, for the hub takes ids of its own only."""
    matter: dict[str, Any] = {}
    if card.licence:
        known = licence_id(card.licence)
        matter["license"] = known or "other"
        if known is None:
            matter["license_name"] = licence_slug(card.licence)
    matter["library_name"] = "diffusers"
    if card.base_id:
        matter["base_model"] = "/".join(card.base_id.split("/")[:2])
        matter["base_model_relation"] = "adapter"
    if card.trigger:
        matter["instance_prompt"] = card.trigger
    matter["tags"] = list(dict.fromkeys([*TAGS, *([card.kind] if card.kind else []), *card.algorithms]))
    widget = [
        {
            "text": _without_calls(picture.prompt),
            **({"parameters": {"negative_prompt": picture.negative}} if picture.negative else {}),
            "output": {"url": picture_name(number)},
        }
        for number, picture in enumerate(card.pictures, 1)
    ]
    if widget:
        matter["widget"] = widget
    return matter


def _body(card: Card) -> Iterator[str]:
    yield f"# {_plain(' '.join(card.title.split()))}"
    if card.pictures:
        yield "<Gallery />"
    yield from map(_inline, tell_intro(card))
    for section in tell_sections(card):
        yield f"## {section.title}"
        yield from _section(section)
    if card.pictures:
        yield "## Pictures"
        yield "Each with its prompt; the files say the rest (base, sampler, steps, hashes)."
        yield _table(
            ("", "prompt", "seed"),
            [
                (f'<img src="{picture_name(number)}" width="128">', f"`{picture.prompt}`", str(picture.seed))
                for number, picture in enumerate(card.pictures, 1)
            ],
        )


def _section(section: Section) -> Iterator[str]:
    yield from map(_inline, section.paragraphs)
    if section.points:
        yield "\n".join(f"- {_inline(point)}" for point in section.points)
    if section.rows:
        yield _table(section.heads, section.rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text if text.startswith("<img ") else _inline(text).replace("|", "\\|")


def _inline(text: str) -> str:
    """Text with `typed` parts; everything else means itself."""
    said = " ".join(text.split())
    parts = said.split("`")
    if len(parts) % 2 == 0:  # a lone backtick
        return _plain(said)
    return "".join(f"`{part}`" if number % 2 else _plain(part) for number, part in enumerate(parts))


def _plain(text: str) -> str:
    """Words of people's in Markdown: no markup, no HTML."""
    return re.sub(r"([\\`*_\[\]<>#])", r"\\\1", text)


def _without_calls(prompt: str) -> str:
    """A prompt as the hub's own drawing takes it, where the adapter is on already."""
    return " ".join(re.sub(r"<(?:lora|lyco):[^>]*>", "", prompt).split()).strip(" ,")
