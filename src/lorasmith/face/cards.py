"""The card of a project or an adapter file, with the pictures of its showcases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lorasmith.errors import UsageError
from lorasmith.library.cards.card import Card
from lorasmith.project import safe_name


def make_card(target: Path, showcases: Sequence[Path] = (), licence: str = "", name: str = "") -> Card:
    """The card of a project or a file; `licence` and `name` go over what the project says. Raises UsageError for a name
    that cannot be called, and what `gather_card` raises."""
    from lorasmith.library.cards.gathering import find_target, gather_card
    from lorasmith.library.cards.showing import choose_pictures, find_showcases, judge_by_eye, showcase_pictures

    if name and name != safe_name(name):
        raise UsageError(f'"{name}" cannot be called in a prompt.', field="name", hint=f'Such as "{safe_name(name)}".')
    project, file = find_target(target)
    called = name or (safe_name(project.lora.name) if project is not None else file.stem)
    pictures = showcase_pictures(find_showcases(project, showcases), file, called)
    chosen = choose_pictures(pictures)
    return gather_card(project, file, chosen, by_eye=judge_by_eye(pictures), name=called, licence=licence)
