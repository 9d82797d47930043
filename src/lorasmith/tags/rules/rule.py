"""What a caption rule is.

A rule is prepared once for a scene (all images of one subject whose tags have one source) and then works on the tags
of one image after the other. What it does it says tag by tag, in rulings: an explanation shows just those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain
from typing import Literal, NamedTuple

from lorasmith.project import SubjectKind
from lorasmith.tags.knowledge import pattern
from lorasmith.tags.settings import TagsTable
from lorasmith.tags.words import tag_key

Tags = tuple[str, ...]
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

    read_tags: Callable[[], tuple[Tags, ...]] = tuple

    @cached_property
    def keys(self) -> tuple[frozenset[str], ...]:
        """The `tag_key`s of every image."""
        return tuple([frozenset(map(tag_key, tags)) for tags in self.read_tags()])

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """In how many images each `tag_key` stands."""
        return Counter(chain.from_iterable(self.keys))


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
    def counts(self) -> Mapping[str, int]:
        """In how many images of the subject each `tag_key` stands."""
        return self.crowd.counts

    @property
    def word(self) -> str:
        """The trigger as one word, for tags that are named after it (T6)."""
        return "_".join(self.trigger[0].split()) if self.trigger else "subject"

    def share(self, key: str) -> float:
        """The share of the subject's images that have the tag."""
        return self.counts.get(key, 0) / max(1, len(self.keys))

    def is_rare(self, key: str) -> bool:
        """Whether the tag is an inconsistent element that keeps its tag (T8)."""
        settings = self.settings
        few = self.counts.get(key, 0) < settings.rare_images
        return "rare" not in settings.off and few and self.share(key) < settings.consistent


Work = Callable[[Tags, View], RuleResult | None]
"""From an image's tags to what becomes of them; None when there is nothing to do."""


@dataclass(frozen=True)
class CaptionRule:
    """A named step from tags to tags. `id` is the domain rule it serves, `why` a sentence for the user.

    `prepare` looks at the scene and gives the work; None when there is nothing to do in any image.
    """

    name: str
    id: str
    why: str
    prepare: Callable[[Scene], Work | None]


class _Memory(dict[str, Ruling | None]):
    """What was said of each tag; `quiet` are those of which nothing was."""

    def __init__(self, judge: Callable[[str], Ruling | None]) -> None:
        super().__init__()
        self._judge = judge
        self.quiet: set[str] = set()

    def __missing__(self, tag: str) -> Ruling | None:
        ruling = self[tag] = self._judge(tag)
        if ruling is None:
            self.quiet.add(tag)
        return ruling


class TagWork:
    """The work of a rule that looks at each tag by itself: every distinct tag is judged once."""

    def __init__(self, judge: Callable[[str], Ruling | None]) -> None:
        self.memory = _Memory(judge)

    def __call__(self, tags: Tags, view: View) -> RuleResult | None:
        del view
        memory = self.memory
        if memory.quiet.issuperset(tags):
            return None
        rulings = tuple([ruling for tag in tags if (ruling := memory[tag]) is not None])
        return RuleResult(carry_out(tags, memory), lambda: rulings) if rulings else None


def tag_by_tag(judge: Callable[[str], Ruling | None]) -> Work:
    """The work that judges tag by tag; None leaves a tag alone."""
    return TagWork(judge)


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
