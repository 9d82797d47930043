"""Where an image's tags come from, before any rule: its caption, an import, a tagger, or its folder's name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, NamedTuple
from weakref import ref

import numpy as np

from lorasmith.dataset.folders import class_words
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import ProjectError, did_you_mean
from lorasmith.project import Project
from lorasmith.tags.categories import QUALITY, RATING
from lorasmith.tags.imported import ImportedTags, read_imported
from lorasmith.tags.refusal import speak_of
from lorasmith.tags.rules.rule import Crowd, Source
from lorasmith.tags.scores import ScoreTable
from lorasmith.tags.settings import TagsTable, least_scores, read_settings
from lorasmith.tags.sidecars import read_as_kohya
from lorasmith.tags.store import is_called, read_scores, read_sentences
from lorasmith.tags.words import is_sentence, split_tags, tag_key

_SURE = 0.35
"""From here on a tag counts for the refusal, whatever the project's thresholds are."""


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class RawTags(NamedTuple):
    """An image's tags as they came.

    `tags`: of the chosen source; a tagger's from the project's thresholds on, the likeliest first. `sentence`: a
    description in words from an import or a captioning program, to stand beside the tags; None where the caption is
    written in sentences itself. `scores` and `categories`: all that the tagger gave, by its own spelling, also below
    the thresholds and where the caption speaks; scores in 0..1. `ratings`: for the refusal only: every tagger's
    rating, and what was said of the image but is not in `tags`, so that no setting hides it. `imported`: the name of
    the import that stands in for the image's own caption, empty when it does not. `unsure`: whether `tags` are a
    tagger's, who gave more of them under the thresholds. `tagger`: whose scores they are.
    """

    tags: tuple[str, ...]
    source: Source
    ratings: tuple[str, ...] = ()
    scores: Mapping[str, float] = _NOTHING
    categories: Mapping[str, int] = _NOTHING
    sentence: str | None = None
    imported: str = ""
    unsure: bool = False
    tagger: str = ""


class Part(NamedTuple):
    """The images of one member of the bundle (None without) whose tags have one source, by their `places` in the
    dataset, and what is known of each of them: its number among the member's, its name, whose scores it has, whether
    there are any, and whether it has a sentence."""

    member: str | None
    source: Source
    places: list[int]
    numbers: list[int]
    names: list[str]
    taggers: list[str]
    scored: list[bool]
    told: list[bool]


class RawTable(dict[str, RawTags]):
    """The raw tags of a dataset's images by `Item.name`, in its order, and what follows from them alone."""

    def __init__(self, raw: Mapping[str, RawTags], items: Sequence[Item]) -> None:
        super().__init__(raw)
        self._members = {item.name: item.member for item in items}
        self._facets = {item.name: item.facets for item in items if item.facets}

    @cached_property
    def texts(self) -> Mapping[str, tuple[str, ...]]:
        """All that is said of each image, also what is in no caption, for the refusal."""
        return {
            name: (*raw.tags, *raw.ratings, *self._facets.get(name, ()), raw.sentence or "")
            for name, raw in self.items()
        }

    @cached_property
    def flags(self) -> int:
        """What all of `texts` speak of together."""
        return speak_of(set().union(*self.texts.values()))

    @cached_property
    def crowds(self) -> Mapping[str | None, Crowd]:
        """The raw tags of each member of the bundle; of None when there is no bundle, or for those of no member."""
        tags: dict[str | None, list[tuple[str, ...]]] = {}
        for name, raw in self.items():
            tags.setdefault(self._members[name], []).append(raw.tags)
        return {member: Crowd(partial(tuple, each)) for member, each in tags.items()}

    @cached_property
    def parts(self) -> Sequence[Part]:
        """The images, each in one part."""
        parts: dict[tuple[str | None, Source], Part] = {}
        seen = dict.fromkeys(self._members.values(), 0)
        for place, (name, raw) in enumerate(self.items()):
            member = self._members[name]
            part = parts.get((member, raw.source))
            if part is None:
                part = parts[member, raw.source] = Part(member, raw.source, [], [], [], [], [], [])
            part.places.append(place)
            part.numbers.append(seen[member])
            part.names.append(name)
            part.taggers.append(raw.tagger)
            part.scored.append(raw.tagger != "" and len(raw.scores) > 0)
            part.told.append(bool(raw.sentence))
            seen[member] += 1
        return tuple(parts.values())

    @cached_property
    def unsure(self) -> int:
        """In how many images the tagger gave more than `tags`."""
        return sum(raw.unsure for raw in self.values())


def read_raw_tags(project: Project, dataset: Dataset, *, kohya_compat: bool = False) -> RawTable:
    """Raw tags by `Item.name`, by [tags] `source`.

    "caption": from its own caption, else from an import, else from a tagger, else the words of its folder (D17).
    "tagger": the tagger goes first. "both": the caption's tags, then those of the tagger that it does not have.
    Several taggers: the one that [tags] `tagger` names, which may be an import too, else the one used last.
    `kohya_compat` reads captions to the byte as kohya's trainer does, and raises DatasetError where that one stops.
    """
    stored = _Stored(read_settings(project), read_imported(project), read_sentences(project), read_scores(project))
    kept = None if kohya_compat else _kept.get(id(dataset))
    if kept is not None and kept.dataset() is dataset and kept.stored.is_as(stored):
        return kept.table
    sources = _Sources(project, stored)
    raw = {item.name: sources.of(item, _caption(item, kohya_compat)) for item in dataset.items}
    table = RawTable(raw, dataset.items)
    if not kohya_compat:
        number = id(dataset)
        _kept[number] = _Kept(ref(dataset, lambda _: _kept.pop(number, None)), stored, table)
    return table


class _Stored(NamedTuple):
    """What tags are read from, beside the images' captions."""

    settings: TagsTable
    imported: Mapping[str, tuple[ImportedTags, ...]]
    sentences: Mapping[str, str]
    scores: ScoreTable

    def is_as(self, other: _Stored) -> bool:
        """Whether the same raw tags come of both."""
        return (
            all(getattr(self.settings, key) == getattr(other.settings, key) for key in _KEYS)
            and self.imported == other.imported
            and self.sentences == other.sentences
            and self.scores.is_as(other.scores)
        )


_KEYS = ("source", "tagger", "threshold", "character_threshold", "thresholds")
"""What of [tags] decides about raw tags."""


class _Kept(NamedTuple):
    """The raw tags of a dataset that somebody still holds: a page that changes a rule has no other ones."""

    dataset: ref[Dataset]
    stored: _Stored
    table: RawTable


_kept: dict[int, _Kept] = {}


class _Sources:
    """All that is known of the images; what every tagger said is sifted for all images in one go."""

    def __init__(self, project: Project, stored: _Stored) -> None:
        self._settings = settings = stored.settings
        self._imported, self._sentences = stored.imported, stored.sentences
        self._table = table = stored.scores
        self._check_name(project)
        self._kinds = table.kinds()
        least = np.array(least_scores(settings, table.words()))
        unsaid = np.isin(table.categories, (RATING, QUALITY))[table.numbers]
        rating = (table.categories == RATING)[table.numbers]
        likely = (table.scores >= least[table.numbers]) & ~unsaid
        hidden = (table.scores >= _SURE) & ~rating & ~likely
        self._likely, self._hidden = table.sift(likely), table.sift(hidden)
        self._ratings = table.sift(rating)
        self._counts = table.count(~unsaid)

    def _check_name(self, project: Project) -> None:
        """Raise ProjectError when [tags] `tagger` means none of those that are there."""
        name = self._settings.tagger
        taggers = sorted({tagger for _, tagger in self._table.rows})
        sources = {tags.source: tags for imported in self._imported.values() for tags in imported}
        if not name or not (taggers or sources):
            return
        if not any(is_called(tagger, name) for tagger in taggers) and not any(
            tags.is_called(name) for tags in sources.values()
        ):
            known = [*(tagger.rpartition(" ")[0] or tagger for tagger in taggers), *sorted(sources)]
            raise ProjectError(
                f"tagger = {name!r}: no tags of that name are stored.",
                where=project.where("tags"),
                hint=did_you_mean(name, known) or f"There are: {', '.join(known)}. Or tag with it first.",
            )

    def of(self, item: Item, caption: str) -> RawTags:
        sha256, name = item.facts.sha256, self._settings.tagger
        rows, imported = self._table.of.get(sha256, ()), self._imported.get(sha256, ())
        sentence = self._sentences.get(item.content, self._sentences.get(sha256)) if self._sentences else None
        row = self._row_of(rows)
        if item.crop is not None:  # its own tags go before the whole's, which the refusal sees all the same
            of_crop = self._table.of.get(item.content, ())
            own_row = self._row_of(of_crop)
            row, rows = row if own_row is None else own_row, (*of_crop, *rows)
        named = next((tags for tags in imported if tags.is_called(name)), None) if name and imported else None
        own, in_words = (split_tags(caption), is_sentence(caption)) if caption else ((), False)
        said = _Said(
            own,
            named or (imported[0] if imported else None),
            self._likely[row] if row is not None else (),
            sentence,
        )
        tags, source, of_import = self._chosen(said, item)
        instead = named is not None and self._settings.source == "tagger"
        if named is not None and instead:
            tags, source, of_import = split_tags(named.tags or ""), "caption", named.sentence
        stands_in = source in ("caption", "both") and (instead or not own)
        used = source in ("caption", "both") and own and not instead
        texts = () if used else (caption,)
        if imported or sentence:
            texts = (*texts, *_texts(imported), sentence)
        seen = self._unchosen(rows, texts, tags) if rows or any(texts) else ()
        return RawTags(
            tags,
            source,
            (*seen, caption) if in_words and used else seen,
            self._table.scored(row) if row is not None else _NOTHING,
            self._kinds[self._table.rows[row][1]] if row is not None else _NOTHING,
            of_import or (None if in_words else sentence),
            said.imported.source if said.imported is not None and stands_in else "",
            source == "tagger" and row is not None and self._counts[row] > len(tags),
            self._table.rows[row][1] if row is not None else "",
        )

    def _row_of(self, rows: tuple[int, ...]) -> int | None:
        """The row of the wanted tagger, or of the one used last."""
        name = self._settings.tagger
        if not name:
            return rows[0] if rows else None
        return next((row for row in rows if is_called(self._table.rows[row][1], name)), None)

    def _unchosen(self, rows: tuple[int, ...], texts: Iterable[str | None], tags: tuple[str, ...]) -> tuple[str, ...]:
        """What the refusal must see beside the chosen tags."""
        seen: dict[str, None] = {}
        chosen = frozenset(tags)
        for row in rows:
            seen.update(dict.fromkeys(f"rating:{name}" for name in self._ratings[row][:1]))
            for names in (self._likely[row], self._hidden[row]):
                if names is not tags and not chosen.issuperset(names):
                    seen.update(dict.fromkeys(name for name in names if name not in chosen))
        for text in texts:
            if text:
                seen.update(dict.fromkeys(tag for tag in split_tags(text) if tag not in chosen))
                if is_sentence(text):
                    seen[text] = None
        return tuple(seen)

    def _chosen(self, said: _Said, item: Item) -> tuple[tuple[str, ...], Source, str | None]:
        """(tags, source, the import's sentence)."""
        way, own, sentence = self._settings.source, said.own, None
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


class _Said(NamedTuple):
    """What the sources say of one image: its caption, an import, a tagger's likely tags, a captioning program."""

    own: tuple[str, ...]
    imported: ImportedTags | None
    scored: tuple[str, ...]
    sentence: str | None


def _texts(imported: tuple[ImportedTags, ...]) -> Iterator[str | None]:
    for tags in imported:
        yield tags.tags
        yield tags.sentence


def _caption(item: Item, kohya_compat: bool) -> str:
    """The item's own caption; as the trainer reads it, from the extension of its default before the usual one."""
    if not kohya_compat:
        return item.caption or ""
    captions = (read_as_kohya(item.path, extension) for extension in (".caption", ".txt"))
    return next((caption for caption in captions if caption is not None), "")
