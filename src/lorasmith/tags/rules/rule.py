"""What a caption rule is.

A rule is prepared once for a scene (all images of one subject whose tags have one source) and then works on all its
images at once, or on the tags of one. What it does to one it says tag by tag, in rulings: an explanation shows those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

import numpy as np

from lorasmith.project import SubjectKind
from lorasmith.tags.knowledge import pattern
from lorasmith.tags.rows import Mask, TagNumbers, TagRows, Tags
from lorasmith.tags.settings import TagsTable
from lorasmith.tags.words import tag_key

Source = Literal["caption", "tagger", "both", "folder", "none"]
Fate = Literal["kept", "dropped", "changed", "added", "moved"]


class Ruling(NamedTuple):
    """What a rule did to one tag. `why` is empty where the rule's own reason says it all; `became` is the new form of
    a changed tag. A tag that went up in another one is dropped; a kept one is one that a later rule must not drop."""

    tag: str
    fate: Fate
    why: str = ""
    became: str | None = None


class RuleResult(NamedTuple):
    """The tags after a rule, and a way to tell its rulings, which only an explanation asks for."""

    tags: Tags
    tell: Callable[[], tuple[Ruling, ...]]

    @property
    def rulings(self) -> tuple[Ruling, ...]:
        """Taken together they lead from the tags before to those after."""
        return self.tell()


@dataclass(frozen=True)
class View:
    """What a rule may look at of one image beside its tags.

    `scores` (0..1) and `categories` by the tagger's spelling; `sentence` a description in words; `poor` why the
    image counts as of low quality, empty for a good one; `collage` whether it shows several pictures side by side;
    `tagger` whose scores they are, its name and hash.
    """

    name: str
    scores: Mapping[str, float] = field(default_factory=dict)
    categories: Mapping[str, int] = field(default_factory=dict)
    sentence: str | None = None
    poor: str = ""
    collage: bool = False
    tagger: str = ""

    @cached_property
    def likelihood(self) -> Mapping[str, float]:
        """The scores by `tag_key`."""
        return {tag_key(tag): score for tag, score in self.scores.items()}


@dataclass(frozen=True)
class Crowd:
    """All images of one subject. `read_tags` gives the raw tags of each, from the thresholds on, whatever their
    source."""

    read_tags: Callable[[], Sequence[Tags]] = tuple

    @cached_property
    def rows(self) -> TagRows:
        """The raw tags of every image, a row each."""
        return TagRows.of(TagNumbers(), self.read_tags())

    @cached_property
    def keys(self) -> tuple[frozenset[str], ...]:
        """The `tag_key`s of every image."""
        return tuple([frozenset(map(tag_key, tags)) for tags in self.read_tags()])

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """In how many images each `tag_key` stands; 0 for others."""
        return Counter(self.rows.count_keys())


@dataclass(frozen=True)
class Scene:
    """What is the same for all images of one subject whose tags have one `source`.

    `trigger` are its tags; `crowd` all images of the subject; `known` the keys of the tags that the tagger knows.
    """

    settings: TagsTable
    subject: SubjectKind = SubjectKind.CHARACTER
    trigger: Tags = ()
    source: Source = "caption"
    crowd: Crowd = Crowd()
    known: frozenset[str] = frozenset()

    @property
    def keys(self) -> tuple[frozenset[str], ...]:
        """The `tag_key`s of every image of the subject."""
        return self.crowd.keys

    @property
    def images(self) -> int:
        """How many images there are of the subject."""
        return len(self.crowd.rows)

    @property
    def counts(self) -> Mapping[str, int]:
        """In how many images of the subject each `tag_key` stands."""
        return self.crowd.counts

    @property
    def word(self) -> str:
        """The trigger as one word, for tags that are named after it (T6)."""
        return "_".join(self.trigger[0].split()) if self.trigger else "subject"

    def share(self, key: str) -> float:
        """The share of the subject's images that have the tag."""
        return self.counts.get(key, 0) / max(1, self.images)

    def is_rare(self, key: str) -> bool:
        """Whether the tag is an inconsistent element that keeps its tag (T8)."""
        settings = self.settings
        few = self.counts.get(key, 0) < settings.rare_images
        return "rare" not in settings.off and few and self.share(key) < settings.consistent


class Views:
    """What rules may look at of many images beside their tags, a row each: a view is made when one is asked for.

    By row: `names`; `taggers` whose scores they are; `scored` whether there are any, `told` whether there is a
    sentence, `poor` whether the image counts as of low quality.
    """

    def __init__(
        self,
        view: Callable[[int], View],
        names: Sequence[str],
        taggers: Sequence[str],
        scored: Sequence[bool],
        told: Sequence[bool],
        poor: Sequence[bool],
    ) -> None:
        self._view = view
        self.names, self.taggers = names, taggers
        self.scored: Mask = np.array(scored, bool)
        self.told: Mask = np.array(told, bool)
        self.poor: Mask = np.array(poor, bool)

    def __getitem__(self, row: int) -> View:
        return self._view(row)


@dataclass(frozen=True)
class Work:
    """What a prepared rule does, told twice: `one` gives what becomes of one image's tags, None when there is nothing
    to do, and says why; `rows` does the same to all images at once."""

    one: Callable[[Tags, View], RuleResult | None]
    rows: Callable[[TagRows, Views], TagRows]

    def __call__(self, tags: Tags, view: View) -> RuleResult | None:
        return self.one(tags, view)


@dataclass(frozen=True)
class CaptionRule:
    """A named step from tags to tags. `id` is the domain rule it serves, `why` a sentence for the user.

    `prepare` looks at the scene and gives the work; None when there is nothing to do in any image.
    """

    name: str
    id: str
    why: str
    prepare: Callable[[Scene], Work | None]


def image_by_image(one: Callable[[Tags, View], RuleResult | None], touched: Callable[[TagRows, Views], Mask]) -> Work:
    """The work of a rule that looks at an image as a whole. `touched` gives by row whether it may have something to do
    there: all others are left as they are."""

    def rows(before: TagRows, views: Views) -> TagRows:
        after: dict[int, Tags] = {}
        for row in np.flatnonzero(touched(before, views)).tolist():
            outcome = one(before.row(row), views[row])
            if outcome is not None:
                after[row] = outcome.tags
        return before.replaced(after)

    return Work(one, rows)


def tag_by_tag(judge: Callable[[str], Ruling | None]) -> Work:
    """The work of a rule that looks at each tag by itself, each distinct one once; None leaves a tag alone."""
    memory: dict[str, Ruling | None] = {}

    def ruling_on(tag: str) -> Ruling | None:
        if tag not in memory:
            memory[tag] = judge(tag)
        return memory[tag]

    def one(tags: Tags, view: View) -> RuleResult | None:
        del view
        rulings = tuple([ruling for tag in tags if (ruling := ruling_on(tag)) is not None])
        return RuleResult(carry_out(tags, memory), lambda: rulings) if rulings else None

    def rows(before: TagRows, views: Views) -> TagRows:
        del views
        texts, became = before.numbers.texts, {}
        for number in before.present:
            ruling = ruling_on(texts[number])
            if ruling is not None and ruling.fate != "kept":
                became[number] = ruling.became
        return before.renamed(became)

    return Work(one, rows)


def carry_out(tags: Tags, rulings: Mapping[str, Ruling | None]) -> Tags:
    """The tags without those that were dropped, and with the changed ones in their new form."""
    after: list[str] = []
    for tag in tags:
        ruling = rulings[tag]
        if ruling is None or ruling.fate == "kept":
            after.append(tag)
        elif ruling.became is not None:
            after.append(ruling.became)
    return tuple(after)


def drop(tags: Tags, dropped: Mapping[str, str]) -> RuleResult | None:
    """The outcome of dropping tags, given with the reason for each."""
    if not dropped:
        return None
    return RuleResult(
        tuple([tag for tag in tags if tag not in dropped]),
        lambda: tuple(Ruling(tag, "dropped", dropped[tag]) for tag in tags if tag in dropped),
    )


def append(tags: Tags, added: Tags, why: str = "") -> RuleResult | None:
    """The outcome of adding at the end what is not there yet in any spelling."""
    present = set(map(tag_key, tags))
    fresh = tuple([tag for tag in added if tag_key(tag) not in present])
    return RuleResult(tags + fresh, lambda: tuple(Ruling(tag, "added", why) for tag in fresh)) if fresh else None


def put_first(tags: Tags, front: Tags, why: str = "") -> RuleResult | None:
    """The outcome of putting `front` before all else, in its own spelling, each once."""
    wanted, keys = _keys_of(front), list(map(tag_key, tags))
    if wanted.isdisjoint(keys):
        return RuleResult(front + tags, lambda: tuple([Ruling(tag, "added", why) for tag in front]))
    after = front + tuple([tag for tag, key in zip(tags, keys, strict=True) if key not in wanted])
    return None if after == tags else RuleResult(after, lambda: _tell_of_front(tags, front, wanted, why))


def append_all(rows: TagRows, added: Tags, where: Mask | None = None) -> TagRows:
    """What `append` does, to all rows or those of `where`."""
    after = rows
    for tag in added:
        lacking = ~rows.with_any(rows.find_keys((tag_key(tag),)))
        after = after.appended((tag,), lacking if where is None else lacking & where)
    return after


def put_all_first(rows: TagRows, front: Tags, where: Mask | None = None, but: Collection[str] = ()) -> TagRows:
    """What `put_first` does, to all rows or those of `where`; tags with one of the keys `but` go, too."""
    gone = rows.find_keys(_keys_of(front).union(but))
    if where is None:
        where = np.ones(len(rows), bool)
    return rows.kept(~(gone & where[rows.owners])).joined(front, where)


@lru_cache(maxsize=256)
def _keys_of(tags: Tags) -> frozenset[str]:
    return frozenset(map(tag_key, tags))


def _tell_of_front(tags: Tags, front: Tags, wanted: Collection[str], why: str) -> tuple[Ruling, ...]:
    present: dict[str, str] = {}
    rulings: list[Ruling] = []
    for tag in tags:
        key = tag_key(tag)
        if key in present:
            rulings.append(Ruling(tag, "dropped", "it is in front already"))
        elif key in wanted:
            present[key] = tag
    for tag in front:
        old = present.get(tag_key(tag))
        if old is None:
            rulings.append(Ruling(tag, "added", why))
        elif old != tag:
            rulings.append(Ruling(old, "changed", why, tag))
        else:
            rulings.append(Ruling(tag, "moved", why))
    return tuple(rulings)


@lru_cache(maxsize=256)
def matcher(patterns: Tags) -> Callable[[str], bool]:
    """A test whether a tag is among `patterns`, whatever its case, spaces and underscores; `*` matches anything."""
    exact = frozenset(tag_key(wanted) for wanted in patterns if "*" not in wanted)
    wild = pattern(tuple(wanted for wanted in patterns if "*" in wanted))

    def matches(tag: str) -> bool:
        key = tag_key(tag)
        return key in exact or (wild is not None and wild.fullmatch(key) is not None)

    return matches
