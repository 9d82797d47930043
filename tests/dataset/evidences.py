"""Evidence made of words, for tests of the rules: nothing on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.lineage import Lineage
from lorasmith.dataset.reading import Item
from lorasmith.images.opening import ImageFacts
from lorasmith.project import SubjectKind
from lorasmith.remedies import Do, Remedy, Sentence

Said = tuple[Item, str]


def picture(name: str, tags: str = "", *, size: tuple[int, int] = (512, 512), **fields: Any) -> Said:
    """An image called `name`, whose content is its name, and its comma-separated tags."""
    facts = ImageFacts(Path(name), *size, "png", fields.pop("sha256", name))
    item = Item(Path(name), name, facts, tags or None, fields.pop("folder", ""), fields.pop("repeats", 1))
    return replace(item, **fields), tags


def altered(operation: str, *sources: str) -> Lineage:
    """The lineage of a picture made by `operation` of the pictures `sources`."""
    return Lineage(operation, sources)


def pictures(count: int, tags: str = "", *, prefix: str = "p", **fields: Any) -> list[Said]:
    """`count` images with the same tags."""
    return [picture(f"{prefix}{number:03}.png", tags, **fields) for number in range(count)]


def evidence(said: Sequence[Said], subject: SubjectKind = SubjectKind.CHARACTER, **more: Any) -> Evidence:
    """What a rule would see of these images; `more` are other fields of Evidence."""
    items = tuple(item for item, _ in said)
    tags = {item.name: tuple(tag.strip() for tag in text.split(",") if tag.strip()) for item, text in said}
    return Evidence(subject, items, tags=tags, **{"trigger": "zbk", **more})


def steps(advice: str | Remedy) -> list[Do]:
    """What an advice says to do."""
    return [part for part in advice.parts if isinstance(part, Do)] if isinstance(advice, Sentence) else []
