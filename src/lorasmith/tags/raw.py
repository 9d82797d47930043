"""Where an image's tags come from, before any rule: its caption, an import, a tagger, or its folder's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from lorasmith.dataset.folders import class_words
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.project import Project
from lorasmith.tags.imported import ImportedTags, read_imported
from lorasmith.tags.rules.rule import Source
from lorasmith.tags.settings import TagsTable, least_score, read_settings
from lorasmith.tags.sidecars import read_as_kohya
from lorasmith.tags.store import (
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
        named = next((tags for tags in imported if name and tags.is_called(name)), None)
        scored = self._least.sure(tagger.tags) if tagger else ()
        tags, source, sentence = self._chosen(_Said(caption, named or next(iter(imported), None), scored, said), item)
        if named is not None and self._settings.source == "tagger":
            tags, source, sentence = split_tags(named.tags or ""), "caption", named.sentence
        return RawTags(
            tags,
            source,
            tuple(dict.fromkeys(_unchosen(caption, stored, imported, said, frozenset(tags)))),
            {tag.name: tag.score for tag in tagger.tags} if tagger else {},
            {tag.name: tag.category for tag in tagger.tags} if tagger else {},
            sentence or (None if is_sentence(caption) else said),
        )

    def _chosen(self, said: _Said, item: Item) -> tuple[tuple[str, ...], Source, str | None]:
        """(tags, source, the import's sentence)."""
        way, own, sentence = self._settings.source, split_tags(said.caption), None
        if not own and said.imported is not None:
            own, sentence = split_tags(said.imported.tags or ""), said.imported.sentence
        if said.scored and way == "both" and own:
            known = frozenset(map(tag_key, own))
            return (*own, *(tag for tag in said.scored if tag_key(tag) not in known)), "both", sentence
        if said.scored and (way == "tagger" or not (own or sentence)):
            return said.scored, "tagger", None
        if own or sentence or said.sentence:
            return own, "caption", sentence
        words = class_words(item.folder)
        return ((words,), "folder", None) if words else ((), "none", None)


@dataclass(frozen=True)
class _Said:
    """What the sources say of one image: its caption, an import, a tagger's likely tags, a captioning program."""

    caption: str
    imported: ImportedTags | None
    scored: tuple[str, ...]
    sentence: str | None


class _Least(dict[tuple[str, int], float]):
    """The project's thresholds by (tag, category), each worked out once."""

    def __init__(self, settings: TagsTable) -> None:
        super().__init__()
        self._settings = settings

    def __missing__(self, tag: tuple[str, int]) -> float:
        least = self[tag] = least_score(self._settings, *tag)
        return least

    def sure(self, tags: tuple[ScoredTag, ...]) -> tuple[str, ...]:
        """The names of tags that are likely enough, the likeliest first; ratings and quality are no tags."""
        likely = [
            (-score, name) for name, kind, score in tags if kind not in (RATING, QUALITY) and score >= self[name, kind]
        ]
        return tuple(name for _, name in sorted(likely, key=itemgetter(0)))


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
