"""Where an image's tags come from, before any rule: its caption, an import, a tagger, or its folder's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lorasmith.dataset.folders import class_words
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.project import Project
from lorasmith.tags.imported import ImportedTags, read_imported
from lorasmith.tags.rules.rule import Source
from lorasmith.tags.settings import TagsTable, read_settings
from lorasmith.tags.sidecars import read_as_kohya
from lorasmith.tags.store import (
    CATEGORIES,
    CHARACTER,
    QUALITY,
    RATING,
    ScoredTag,
    StoredTags,
    is_called,
    read_sentences,
    read_stored,
)
from lorasmith.tags.words import is_sentence, split_tags, tag_key

_SURE = 0.35
"""From here on a tag counts for the refusal, whatever the project's thresholds are."""


@dataclass(frozen=True)
class RawTags:
    """An image's tags as they came.

    `tags`: of the chosen source; a tagger's from the project's thresholds on, the likeliest first. `sentence`: a
    description in words from an import or a captioning program, to stand beside the tags; None where the caption is
    written in sentences itself. `scores` and `categories`: all that the tagger gave, by its own spelling, also below
    the thresholds and where the caption speaks; scores in 0..1. `ratings`: for the refusal only: every tagger's
    rating, and what was said of the image but is not in `tags`, so that no setting hides it.
    """

    tags: tuple[str, ...]
    source: Source
    ratings: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    categories: Mapping[str, int] = field(default_factory=dict)
    sentence: str | None = None


def read_raw_tags(project: Project, dataset: Dataset, *, kohya_compat: bool = False) -> Mapping[str, RawTags]:
    """Raw tags by `Item.name`, by [tags] `source`.

    "caption": from its own caption, else from an import, else from a tagger, else the words of its folder (D17).
    "tagger": the tagger goes first. "both": the caption's tags, then those of the tagger that it does not have.
    Several taggers: the one that [tags] `tagger` names, which may be an import too, else the one used last.
    `kohya_compat` reads captions to the byte as kohya's trainer does, and raises DatasetError where that one stops.
    """
    sources = _Sources(project)
    return {item.name: sources.of(item, _caption(item, kohya_compat)) for item in dataset.items}


class _Sources:
    """All that is known of the images, read once."""

    def __init__(self, project: Project) -> None:
        self._settings = read_settings(project)
        self._least = _Least(self._settings)
        self._stored = read_stored(project)
        self._imported = read_imported(project)
        self._sentences = read_sentences(project)

    def of(self, item: Item, caption: str) -> RawTags:
        sha256, name = item.facts.sha256, self._settings.tagger
        stored, imported = self._stored.get(sha256, ()), self._imported.get(sha256, ())
        said = self._sentences.get(sha256)
        tagger = next((tags for tags in stored if not name or is_called(tags.tagger, name)), None)
        named = next((tags for tags in imported if name and is_called(tags.source, name)), None)
        scored = tuple(self._least.sure(tagger.tags)) if tagger else ()
        hand = named or next(iter(imported), None)

        tags, source, sentence = self._chosen(caption, hand, named, scored, said, item)
        if sentence is None and said and not is_sentence(caption):
            sentence = said
        return RawTags(
            tags,
            source,
            tuple(dict.fromkeys(_unchosen(caption, stored, imported, said, frozenset(tags)))),
            {tag.name: tag.score for tag in tagger.tags} if tagger else {},
            {tag.name: tag.category for tag in tagger.tags} if tagger else {},
            sentence,
        )

    def _chosen(
        self,
        caption: str,
        hand: ImportedTags | None,
        named: ImportedTags | None,
        scored: tuple[str, ...],
        said: str | None,
        item: Item,
    ) -> tuple[tuple[str, ...], Source, str | None]:
        """(tags, source, the import's sentence)."""
        way = self._settings.source
        if way == "tagger" and named is not None:
            return split_tags(named.tags or ""), "caption", named.sentence
        if way == "tagger" and scored:
            return scored, "tagger", None
        own, sentence = split_tags(caption), None
        if not own and hand is not None:
            own, sentence = split_tags(hand.tags or ""), hand.sentence
        if way == "both" and own and scored:
            known = frozenset(map(tag_key, own))
            return (*own, *(tag for tag in scored if tag_key(tag) not in known)), "both", sentence
        if own or sentence:
            return own, "caption", sentence
        if scored:
            return scored, "tagger", None
        if said:
            return (), "caption", None
        words = class_words(item.folder)
        return ((words,), "folder", None) if words else ((), "none", None)


class _Least:
    """The project's thresholds: of a tag, else of its category, else of all."""

    def __init__(self, settings: TagsTable) -> None:
        by_name = {tag_key(name): least for name, least in settings.thresholds.items()}
        self._tags = {name: least for name, least in by_name.items() if name not in CATEGORIES}
        self._categories = {CHARACTER: settings.character_threshold} | {
            CATEGORIES[name]: least for name, least in by_name.items() if name in CATEGORIES
        }
        self._default = settings.threshold

    def sure(self, tags: tuple[ScoredTag, ...]) -> Iterator[str]:
        """The names of tags that are likely enough, the likeliest first; ratings and quality are no tags."""
        ranked = sorted(tags, key=_score, reverse=True)
        for name, category, score in ranked:
            least = self._categories.get(category, self._default)
            if self._tags:
                least = self._tags.get(tag_key(name), least)
            if score >= least and category not in (RATING, QUALITY):
                yield name


def _score(tag: ScoredTag) -> float:
    return tag.score


def _caption(item: Item, kohya_compat: bool) -> str:
    return (read_as_kohya(item.path) if kohya_compat else item.caption) or ""


def _unchosen(
    caption: str,
    stored: tuple[StoredTags, ...],
    imported: tuple[ImportedTags, ...],
    said: str | None,
    chosen: frozenset[str],
) -> Iterator[str]:
    """What the refusal must see beside the chosen tags."""
    for tagger in stored:
        ratings = [tag for tag in tagger.tags if tag.category == RATING]
        if ratings:
            yield f"rating:{max(ratings, key=_score).name}"
        for name, category, score in tagger.tags:
            if score >= _SURE and name not in chosen and category != RATING:
                yield name
    texts = (caption, *(text for tags in imported for text in (tags.tags, tags.sentence)), said)
    for text in texts:
        if text:
            yield from (tag for tag in split_tags(text) if tag not in chosen)
            if is_sentence(text):
                yield text
