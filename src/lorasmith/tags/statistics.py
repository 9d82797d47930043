"""The tag table: how often each tag stands in the raw tags and in the captions, and with the trigger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorasmith.tags.inputs import CaptionInputs
from lorasmith.tags.knowledge import COUNTS, FEATURES, FRAMING, feature_of
from lorasmith.tags.pipeline import Captioning
from lorasmith.tags.rules.fused import FUSED
from lorasmith.tags.typos import find_typos
from lorasmith.tags.words import split_tags, tag_key


@dataclass(frozen=True)
class TagRow:
    """One tag: in how many `images` it came, in how many captions it was `left`, and the share of the trigger's images
    that have it. `feature` is the subject's feature that it belongs to; `fused` whether it is nearly always there, so
    that the trigger cannot be told from it."""

    tag: str
    images: int
    left: int
    share: float
    feature: str | None = None
    fused: bool = False

    def as_json(self) -> dict[str, Any]:
        """One entry of the "tags" of the table."""
        return {
            "tag": self.tag,
            "images": self.images,
            "left": self.left,
            "share": round(self.share, 4),
            "feature": self.feature,
            "fused": self.fused,
        }


@dataclass(frozen=True)
class TagTable:
    """The most frequent tag first. `with_trigger` is the number of images whose raw tags have the trigger (all, when
    none has: captions get it then); `typos` are misspelt triggers with the number of their images."""

    images: int
    with_trigger: int
    rows: tuple[TagRow, ...]
    typos: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The document of the table."""
        return {
            "images": self.images,
            "with_trigger": self.with_trigger,
            "tags": [row.as_json() for row in self.rows],
            "typos": dict(self.typos),
        }


def count_tags(inputs: CaptionInputs, captioning: Captioning) -> TagTable:
    """Count the raw tags (from the thresholds on) and the captions' tags, whatever their spelling.

    In a bundle the share is that of the member where it is highest.
    """
    spelt: dict[str, str] = {}
    came: dict[str, int] = {}
    left: dict[str, int] = {}
    triggers: set[str] = set()
    shares: dict[str, float] = {}
    with_trigger, typos = 0, dict[str, int]()
    for items in inputs.members.values():
        scene = inputs.scene(items[0])
        own = frozenset(map(tag_key, scene.trigger))
        triggers |= own
        said = [keys for keys in scene.keys if own <= keys] if own else []
        of_trigger = said or scene.keys
        with_trigger += len(of_trigger)
        counts: dict[str, int] = {}
        for keys in of_trigger:
            for key in keys:
                counts[key] = counts.get(key, 0) + 1
        for key, count in counts.items():
            shares[key] = max(shares.get(key, 0.0), count / len(of_trigger))
        if scene.trigger:
            typos |= find_typos(scene.trigger[0], scene.keys, inputs.known)
        for item in items:
            tags = {tag_key(tag): tag for tag in reversed(inputs.raw[item.name].tags)}
            for key, tag in tags.items():
                spelt.setdefault(key, tag)
            _count(came, tags)
            _count(left, {tag_key(tag): tag for tag in split_tags(captioning.captions[item.name])})
    least = inputs.settings.fused or FUSED
    rows = [
        TagRow(
            tag, came[key], left.get(key, 0), shares.get(key, 0.0), _feature(inputs, key), _is_fused(key, shares, least)
        )
        for key, tag in spelt.items()
        if key not in triggers
    ]
    ranked = sorted(rows, key=lambda row: (-row.images, row.tag))
    return TagTable(len(inputs.dataset.items), with_trigger, tuple(ranked), typos)


def _count(counts: dict[str, int], keys: Mapping[str, str]) -> None:
    for key in keys:
        counts[key] = counts.get(key, 0) + 1


def _feature(inputs: CaptionInputs, key: str) -> str | None:
    feature = feature_of(key, FEATURES[inputs.project.lora.subject])
    return feature.name if feature else None


def _is_fused(key: str, shares: Mapping[str, float], least: float) -> bool:
    return shares.get(key, 0.0) >= least and key not in COUNTS and key not in FRAMING
