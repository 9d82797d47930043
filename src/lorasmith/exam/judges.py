"""Judges read a picture as attributes: for every group of tags the one that is seen, or None.

A judge is anything with `groups`, `describe` and `error_rates` (the `Judge` protocol), so that another kind of
judge costs one class. Two come with the product, both over a tagger in the WD14 layout:

- `exact_judge`: the embedded tagger with its groups.json; on Doodle pictures its error rates are known and quoted.
- `recall_judge`: any tagger; each tag is a group of its own, and what it cannot name it cannot judge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lorasmith.errors import ExamError
from lorasmith.tags.words import tag_key

if TYPE_CHECKING:
    from PIL.Image import Image

#: A picture as the judge sees it: group -> tag (None: none of them).
Attributes = Mapping[str, str | None]


@dataclass(frozen=True)
class Group:
    """Tags of which a picture shows one; `optional`: or none of them."""

    name: str
    tags: tuple[str, ...]
    optional: bool

    def of(self, tag: str) -> str | None:
        """This group's spelling of `tag` (case, spaces and underscores do not matter), or None."""
        key = tag_key(tag)
        return next((mine for mine in self.tags if tag_key(mine) == key), None)


class Judge(Protocol):
    """Reads pictures as attributes."""

    @property
    def name(self) -> str: ...
    @property
    def groups(self) -> Mapping[str, Group]: ...
    @property
    def error_rates(self) -> Mapping[str, Any]:
        """What is known about this judge's errors, for the report; empty when nothing is."""
        ...

    def describe(self, images: Sequence[Image]) -> list[dict[str, str | None]]: ...


class Scores(Protocol):
    """The part of a tagger that a judge needs."""

    @property
    def names(self) -> tuple[str, ...]: ...
    def scores(self, images: Sequence[Image]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class TaggerJudge:
    """A judge over a tagger: the best tag of each group.

    In an optional group it must reach `threshold`, or be likelier than what the group's scores leave for "none".
    """

    name: str
    tagger: Scores
    groups: Mapping[str, Group]
    threshold: float = 0.5
    error_rates: Mapping[str, Any] = field(default_factory=dict)

    def describe(self, images: Sequence[Image]) -> list[dict[str, str | None]]:
        """The attributes of each image, in the order of the images."""
        if not images:
            return []
        column = {tag_key(name): i for i, name in enumerate(self.tagger.names)}
        scores = self.tagger.scores(images)
        seen: list[dict[str, str | None]] = [{} for _ in images]
        for group in self.groups.values():
            part = scores[:, [column[tag_key(tag)] for tag in group.tags]]
            best = part.argmax(axis=1)
            none = 1 - part.sum(axis=1)
            for row, pick in enumerate(best):
                score = part[row, pick]
                shown = not group.optional or score >= self.threshold or score > none[row] >= 0
                seen[row][group.name] = group.tags[pick] if shown else None
        return seen


def exact_judge(folder: Path) -> TaggerJudge:
    """The judge of a tagger folder with groups.json (and report.json, if it is there). Raises ExamError."""
    from lorasmith.tags.tagger import open_tagger

    file = folder / "groups.json"
    if not file.is_file():
        raise ExamError(
            "this tagger has no groups.json, so it cannot judge exactly.",
            where=folder,
            hint="Use it as a tag judge: [exam] judge = FOLDER.",
        )
    tagger = open_tagger(folder)
    groups = read_groups(json.loads(file.read_text("utf-8")), known=tagger.names, where=file)
    report = folder / "report.json"
    rates = json.loads(report.read_text("utf-8")) if report.is_file() else {}
    return TaggerJudge(name="exact", tagger=tagger, groups=groups, error_rates=rates)


def recall_judge(folder: Path, tags: Iterable[str], threshold: float = 0.35) -> TaggerJudge:
    """A judge of those of `tags` that the tagger in `folder` knows, each present or absent. Raises ExamError."""
    from lorasmith.tags.tagger import open_tagger

    tagger = open_tagger(folder)
    known = {tag_key(name) for name in tagger.names}
    groups = {tag: Group(tag, (tag,), optional=True) for tag in dict.fromkeys(tags) if tag_key(tag) in known}
    if not groups:
        raise ExamError(
            "this tagger knows none of the tags in question.",
            where=folder,
            hint="Name tags it knows in [exam] identity, or choose another tagger.",
        )
    return TaggerJudge(name=f"tags ({folder.name})", tagger=tagger, groups=groups, threshold=threshold)


def read_groups(document: Mapping[str, Any], known: Iterable[str], where: object) -> dict[str, Group]:
    """Groups of a groups.json: ``{group: {"tags": [...], "exclusive": bool, "optional": bool}}``.

    A group that is not exclusive (several of its tags can be seen at once) becomes one group a tag, named
    ``group: tag``. Raises ExamError for a tag that the tagger does not know.
    """
    keys = {tag_key(name) for name in known}
    groups: dict[str, Group] = {}
    for name, entry in document.items():
        tags = tuple(entry["tags"])
        missing = [tag for tag in tags if tag_key(tag) not in keys]
        if missing:
            raise ExamError(f"group {name}: the tagger does not know {', '.join(missing)}.", where=where)
        if entry.get("exclusive", True):
            groups[name] = Group(name, tags, optional=bool(entry.get("optional", False)))
        else:
            groups.update({f"{name}: {tag}": Group(f"{name}: {tag}", (tag,), optional=True) for tag in tags})
    return groups


def summarise_rates(rates: Mapping[str, Any]) -> dict[str, float]:
    """A judge's report in a few numbers: its plain ones, and the mean of all ``accuracy`` entries of a kind.

    The embedded judge's report is nested: style -> kind of picture -> group -> ``{"accuracy": share, ...}``.
    """
    plain = {key: float(value) for key, value in rates.items() if isinstance(value, int | float)}
    found: dict[str, list[float]] = {}
    for style in rates.values():
        for kind, groups in style.items() if isinstance(style, Mapping) else ():
            entries = groups.values() if isinstance(groups, Mapping) else ()
            shares = [entry["accuracy"] for entry in entries if isinstance(entry, Mapping) and "accuracy" in entry]
            found.setdefault(kind, []).extend(shares)
    means = {f"mean accuracy, {kind}": sum(shares) / len(shares) for kind, shares in found.items() if shares}
    return {key: round(value, 4) for key, value in {**plain, **means}.items()}
