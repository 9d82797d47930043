"""What a caption rule is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from lorasmith.tags.settings import TagsTable
from lorasmith.tags.words import tag_key

Tags = tuple[str, ...]
Source = Literal["caption", "tagger", "folder", "none"]


@dataclass(frozen=True)
class Context:
    """What a rule may look at beside the tags: the trigger's tags, [tags], and where the raw tags came from."""

    trigger: Tags
    settings: TagsTable
    source: Source


@dataclass(frozen=True)
class CaptionRule:
    """A named step from tags to tags. `id` is the domain rule it serves, `why` a sentence for the user.

    `apply` is pure, and gives the same tuple back when it has nothing to do.
    """

    name: str
    id: str
    why: str
    apply: Callable[[Tags, Context], Tags]


@lru_cache(maxsize=256)
def matcher(patterns: Tags) -> Callable[[str], bool]:
    """A test whether a tag is among `patterns`, whatever its case, spaces and underscores; `*` matches anything."""
    exact = frozenset(tag_key(pattern) for pattern in patterns if "*" not in pattern)
    globs = [".*".join(map(re.escape, tag_key(pattern).split("*"))) for pattern in patterns if "*" in pattern]
    wild = re.compile("|".join(globs)) if globs else None

    def matches(tag: str) -> bool:
        key = tag_key(tag)
        return key in exact or (wild is not None and wild.fullmatch(key) is not None)

    return matches
