"""What the rules look at: the images, their tags and their fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lorasmith.dataset.folders import Problem, class_words
from lorasmith.dataset.reading import Item
from lorasmith.project import SubjectKind

if TYPE_CHECKING:
    from lorasmith.dataset.provenance import Provenance
    from lorasmith.images.exposure import Exposure
    from lorasmith.project import MemberTable

_SENTENCE = 5

Likeness = Literal["same", "near", "mirrored", "padded", "cropped"]


@dataclass(frozen=True)
class Group:
    """Images that show the same picture, the best one first; `kind` says how the others relate to it and `reason`
    why it is the best."""

    kind: Likeness
    images: tuple[str, ...]
    reason: str = ""

    @property
    def keep(self) -> str:
        return self.images[0]


@dataclass(frozen=True)
class Evidence:
    """All that a rule may know of a dataset.

    By item name: `tags`, the raw tags of captions or a tagger; `seen`, what a tagger sees in the picture whatever its
    caption says (empty without a tagger); `built`, the tags of the captions that were built last; `blur`, the reblur
    ratio, 0 is sharp; `exposure`; `apart`, one less the mean cosine to the images that an encoder finds it most like,
    empty where none can tell. `rejected` are the images that the user took out, `kept` the names of those that the user
    wants to keep whatever is found; `bundle` the members of a bundle by name; `provenance` what is known of a picture's
    source, by sha256.
    """

    subject: SubjectKind
    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = ()
    orphans: tuple[Path, ...] = ()
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    blur: Mapping[str, float] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    exposure: Mapping[str, Exposure] = field(default_factory=dict)
    rejected: tuple[Item, ...] = ()
    bundle: Mapping[str, MemberTable] = field(default_factory=dict)
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    trigger: str = ""
    seen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    built: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    apart: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def words(self) -> Mapping[str, frozenset[str]]:
        """By item name, all that is said of an image, in plain spelling: its tags, what a tagger sees, and the user's
        facet labels. The trigger and the words of its folder say nothing and are left out."""
        silent = {plain(part) for part in self.trigger.split(",")}
        return {item.name: self._words(item) - silent - {plain(class_words(item.folder))} for item in self.items}

    def _words(self, item: Item) -> frozenset[str]:
        said = (*self.tags.get(item.name, ()), *self.seen.get(item.name, ()), *item.facets)
        return frozenset(word for tag in said for word in read_words(tag))


@lru_cache(maxsize=65536)
def plain(tag: str) -> str:
    """The spelling in which tags are compared: lower case, spaces for underscores, no escapes."""
    return " ".join(tag.casefold().replace("\\", "").replace("_", " ").split())


@lru_cache(maxsize=65536)
def read_words(tag: str) -> tuple[str, ...]:
    """What a tag says: itself; of a sentence (five words and more) also each run of one to three words."""
    whole = plain(tag)
    parts = whole.rstrip(".").split()
    if len(parts) < _SENTENCE:
        return (whole,)
    runs = (" ".join(parts[start : start + size]) for size in (1, 2, 3) for start in range(len(parts) - size + 1))
    return (whole, *runs)
