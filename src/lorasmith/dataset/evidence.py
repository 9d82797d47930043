"""What the rules look at: the images, their tags and their fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lorasmith.dataset.folders import Problem
from lorasmith.dataset.reading import Item
from lorasmith.project import SubjectKind

if TYPE_CHECKING:
    from lorasmith.dataset.provenance import Provenance
    from lorasmith.images.exposure import Exposure
    from lorasmith.project import MemberTable

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
    caption says (empty without a tagger); `blur`, the reblur ratio, 0 is sharp; `exposure`. `rejected` are the images
    that the user took out; `bundle` the members of a bundle by name; `provenance` what is known of a picture's source,
    by sha256.
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
