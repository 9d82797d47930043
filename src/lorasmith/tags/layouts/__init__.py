"""How taggers' folders are laid out, a file each."""

from __future__ import annotations

from pathlib import Path

from lorasmith.errors import DatasetError
from lorasmith.registry import Registry
from lorasmith.tags.layouts.layout import Layout

LAYOUTS: Registry[Layout] = Registry("a tagger's layout", __name__, "LAYOUT")


def by_precedence() -> list[Layout]:
    """All layouts: those that look into their lists come first, those that give way to another one's files last."""
    return sorted(LAYOUTS.values(), key=lambda layout: (layout.is_own is None, len(layout.gives_way_to)))


def find_layout(folder: Path) -> Layout:
    """The layout of the tagger in `folder`. Raises DatasetError when there is none."""
    if not folder.is_dir():
        raise DatasetError("no such folder of a tagger.", where=folder, hint=_known())
    layouts = by_precedence()
    layout = next((layout for layout in layouts if layout.recognises(folder)), LAYOUTS["wd14"])
    for names in (layout.models, (layout.tags,)):
        if not any((folder / name).is_file() for name in names):
            raise DatasetError(f"no {names[-1]} in this folder.", where=folder, hint=_known())
    return layout


def _known() -> str:
    pairs = dict.fromkeys(f"{layout.models[0]} and {layout.tags}" for layout in by_precedence())
    return f"A tagger is a folder with {', or '.join(pairs)}."
