"""Images by what a person types: a name, the end of a path, or a pattern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from lorasmith.dataset.folders import composed
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import UsageError, near_names

_MOST_NAMED = 4


def select_images(dataset: Dataset, wanted: Iterable[str]) -> tuple[Item, ...]:
    """The images that `wanted` names, rejected ones too, each once. An image goes by its name ("5_main/a.png"), by the
    end of its path with or without the extension ("a.png", "a"), or by a pattern with * and ? ("2_side/*"). Raises
    UsageError for words that name no image, with the nearest names, or are the end of several.
    """
    items = sorted((*dataset.items, *dataset.rejected), key=lambda item: item.name)
    chosen: dict[str, Item] = {}
    for text in wanted:
        for item in _find(items, text):
            chosen.setdefault(item.name, item)
    return tuple(chosen.values())


def take_images(dataset: Dataset, names: Sequence[str]) -> tuple[Item, ...]:
    """The images of these very names, rejected ones too, each once. Raises UsageError for a name that none has."""
    known = {item.name: item for item in (*dataset.items, *dataset.rejected)}
    for name in names:
        if name not in known:
            raise UsageError(f'no image "{name}".', field="images", hint=_hint(list(known.values()), name))
    return tuple(known[name] for name in dict.fromkeys(names))


def _find(items: Sequence[Item], text: str) -> Sequence[Item]:
    named = [item for item in items if item.name == text] or [item for item in items if _name(item) == composed(text)]
    if named:
        return named
    end = PurePosixPath(composed(text)).as_posix()
    found = [item for item in items if _ends(item, end)] or [item for item in items if _is_file(item, text)]
    if len(found) > 1:
        names = ", ".join(item.name for item in found[:_MOST_NAMED])
        more = ", ..." if len(found) > _MOST_NAMED else ""
        raise UsageError(f'"{text}" is the end of {len(found)} images: {names}{more}.', hint="Write more of the path.")
    if found:
        return found
    if not any(mark in text for mark in "*?["):
        raise UsageError(f'no image "{text}".', hint=_hint(items, end))
    matching = [item for item in items if _matches(item, text)]
    if not matching:
        raise UsageError(f'no image matches "{text}".', hint=f"Names look like {items[0].name}." if items else None)
    return matching


def _matches(item: Item, pattern: str) -> bool:
    name, pattern = _name(item), composed(pattern)
    return fnmatchcase(name, pattern) or ("/" not in pattern and fnmatchcase(PurePosixPath(name).name, pattern))


def _name(item: Item) -> str:
    return composed(item.name)


def _ends(item: Item, end: str) -> bool:
    name = f"/{_name(item)}"
    return name.endswith(f"/{end}") or str(PurePosixPath(name).with_suffix("")).endswith(f"/{end}")


def _is_file(item: Item, text: str) -> bool:
    try:
        return Path(text).expanduser().resolve() == item.path.resolve()
    except (OSError, ValueError, RuntimeError):
        return False


def _hint(items: Sequence[Item], text: str) -> str:
    if any(item.name.startswith(f"{text}/") for item in items):
        return f'That is a folder; its images are "{text}/*".'
    names = [item.name for item in items]
    ends = {PurePosixPath(name).name: name for name in names}
    near = near_names(text, names) or [ends[end] for end in near_names(PurePosixPath(text).name, ends)]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"Names look like {names[0]}." if names else "The project has no images."
