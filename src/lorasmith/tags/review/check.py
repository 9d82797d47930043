"""What a tag check is, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lorasmith.dataset.findings import Finding
from lorasmith.dataset.reading import Item
from lorasmith.tags.inputs import CaptionInputs
from lorasmith.tags.pipeline import Captioning
from lorasmith.tags.rows import Tags
from lorasmith.tags.rules.rule import Scene
from lorasmith.tags.words import split_tags, tag_key


@dataclass(frozen=True)
class Vocabulary:
    """What is known outside of the project: the base's tokenizer vocabulary (token -> number, as in CLIP's
    vocab.json), the tags that the base or a tagger knows, and the triggers of other adapters with their names."""

    tokens: Mapping[str, int] = field(default_factory=dict)
    tags: Collection[str] = ()
    library: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What the tag checks look at: the raw tags and settings, and the captions computed from them."""

    inputs: CaptionInputs
    captioning: Captioning
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    @cached_property
    def subjects(self) -> tuple[tuple[Scene, tuple[Item, ...]], ...]:
        """Every subject (one, or each member of the bundle) with its images."""
        return tuple((self.inputs.scene(items[0]), items) for items in self.inputs.members.values())

    @cached_property
    def captions(self) -> Mapping[str, Tags]:
        """The computed tags by item name."""
        return {name: split_tags(caption) for name, caption in self.captioning.captions.items()}

    @cached_property
    def keys(self) -> Mapping[str, frozenset[str]]:
        """The `tag_key`s of the computed captions by item name."""
        return {name: frozenset(map(tag_key, tags)) for name, tags in self.captions.items()}

    @cached_property
    def raw_keys(self) -> frozenset[str]:
        """The `tag_key`s of all raw tags, also of those that are under a threshold."""
        return frozenset(tag_key(tag) for item in self.inputs.dataset.items for tag in self.inputs.start(item))

    def shares(self, items: Collection[Item]) -> Mapping[str, float]:
        """By key, the share of these images whose computed caption has the tag."""
        counts: dict[str, int] = {}
        for item in items:
            for key in self.keys[item.name]:
                counts[key] = counts.get(key, 0) + 1
        return {key: count / len(items) for key, count in counts.items()}


@dataclass(frozen=True)
class TagCheck:
    """A check of tags: its id and title in domain.md's numbering, and its work."""

    id: str
    title: str
    check: Callable[[Case], Iterator[Finding]]


def images(count: int) -> str:
    """``1 image``, ``3 images``."""
    return "1 image" if count == 1 else f"{count} images"


def listed(tags: Collection[str], most: int = 5) -> str:
    """The tags in a sentence, no more than `most` of them."""
    some = list(tags)[:most]
    return ", ".join(some) + (f" and {len(tags) - most} more" if len(tags) > most else "")
