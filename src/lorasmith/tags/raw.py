"""Where an image's tags come from, before any rule: its caption, a tagger, or its folder's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lorasmith.dataset.folders import class_words
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.project import Project
from lorasmith.tags.rules.rule import Source
from lorasmith.tags.settings import TagsTable, read_settings
from lorasmith.tags.store import CHARACTER, RATING, StoredTags, read_stored
from lorasmith.tags.words import split_tags


@dataclass(frozen=True)
class RawTags:
    """An image's tags as they came. `ratings`: the tagger's rating, seen by the refusal only."""

    tags: tuple[str, ...]
    source: Source
    ratings: tuple[str, ...] = ()


def read_raw_tags(project: Project, dataset: Dataset) -> Mapping[str, RawTags]:
    """Raw tags by `Item.name`: from its caption, else from a tagger, else the words of its folder (D17)."""
    settings, stored = read_settings(project), read_stored(project)
    return {item.name: _raw(item, stored.get(item.facts.sha256), settings) for item in dataset.items}


def _raw(item: Item, stored: StoredTags | None, settings: TagsTable) -> RawTags:
    ratings = _rating(stored) if stored else ()
    if item.caption:
        return RawTags(split_tags(item.caption), "caption", ratings)
    if stored:
        return RawTags(_above_threshold(stored, settings), "tagger", ratings)
    words = class_words(item.folder)
    return RawTags((words,), "folder") if words else RawTags((), "none")


def _above_threshold(stored: StoredTags, settings: TagsTable) -> tuple[str, ...]:
    """The tagger's tags that are likely enough, the likeliest first; ratings are no tags."""
    least = {CHARACTER: settings.character_threshold}
    likely = [
        tag
        for tag in stored.tags
        if tag.category != RATING and tag.score >= least.get(tag.category, settings.threshold)
    ]
    return tuple(tag.name for tag in sorted(likely, key=lambda tag: -tag.score))


def _rating(stored: StoredTags) -> tuple[str, ...]:
    ratings = [tag for tag in stored.tags if tag.category == RATING]
    return (f"rating:{max(ratings, key=lambda tag: tag.score).name}",) if ratings else ()
