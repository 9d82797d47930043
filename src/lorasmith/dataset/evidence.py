"""What the rules look at: the images, their tags and their fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lorasmith.dataset.folders import Problem
from lorasmith.dataset.reading import Item
from lorasmith.project import SubjectKind

Likeness = Literal["same", "near", "mirrored"]


@dataclass(frozen=True)
class Group:
    """Images that show the same picture, the best one first; `kind` says how the others relate to it."""

    kind: Likeness
    images: tuple[str, ...]

    @property
    def keep(self) -> str:
        return self.images[0]


@dataclass(frozen=True)
class Evidence:
    """All that a rule may know. `tags`: raw tags by item name; `blur`: reblur ratio by item name, 0 is sharp."""

    subject: SubjectKind
    items: tuple[Item, ...]
    problems: tuple[Problem, ...]
    orphans: tuple[Path, ...]
    tags: Mapping[str, tuple[str, ...]]
    blur: Mapping[str, float]
    groups: tuple[Group, ...]
