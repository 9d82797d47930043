"""What a tagger sees in the pictures, whatever their captions say."""

from __future__ import annotations

from collections.abc import Mapping

from lorasmith.tags.categories import GENERAL
from lorasmith.tags.raw import RawTags

SURE = 0.5
"""A tag that is at least so likely is seen."""


def read_sights(raw: Mapping[str, RawTags]) -> Mapping[str, tuple[str, ...]]:
    """The general tags by image that the tagger is sure of; images without a tagger's tags are left out."""
    seen = {
        name: tuple(
            tag for tag, score in image.scores.items() if score >= SURE and image.categories.get(tag) == GENERAL
        )
        for name, image in raw.items()
        if image.scores
    }
    return {name: tags for name, tags in seen.items() if tags}
