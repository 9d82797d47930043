"""What each kind of subject is asked beyond its own captions (C4): on a base that knows its world the world's values,
elsewhere these tags, as far as the judge knows them and no caption names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lorasmith.tags.words import tag_key

#: Colours that contradict a trait such as "red hair".
COLOURS = ("black", "blonde", "blue", "brown", "green", "grey", "orange", "pink", "purple", "red", "white", "yellow")
#: How many persons a caption says there are.
_COUNT = re.compile(r"couple|(?:[2-9]|multiple) ?(?:girls|boys|people|others)|\d(?:girl|boy)s?")
_PLACES = ("forest", "beach", "city", "indoors", "night", "rain", "snow")


@dataclass(frozen=True)
class KindSheet:
    """`hits` says what a hit is, in words; `asks`: tags asked for with the subject; `counts`: the number of persons
    that every caption names belongs to a hit (both of a couple must be there)."""

    hits: str
    asks: tuple[str, ...]
    counts: bool = False


KINDS: Mapping[str, KindSheet] = {
    "character": KindSheet(
        "the character with all its traits",
        (*_PLACES, "sitting", "running", "from side", "from behind", "smile", "crying", "hat", "dress", "armor"),
    ),
    "couple": KindSheet(
        "both of them, each with all their traits",
        (*_PLACES, "hug", "holding hands", "back-to-back", "sitting", "from side"),
        counts=True,
    ),
    "background": KindSheet(
        "the place",
        ("night", "sunset", "rain", "snow", "fire", "1girl", "1boy", "cat", "crowd", "from above"),
    ),
    "asset": KindSheet(
        "the object",
        (*_PLACES, "1girl", "1boy", "holding", "broken", "from above", "cat"),
    ),
    "clothing": KindSheet(
        "the clothes, worn",
        (
            *_PLACES,
            "1boy",
            "1girl",
            "blonde hair",
            "black hair",
            "sitting",
            "wet clothes",
            "torn clothes",
            "from behind",
        ),
    ),
    "pose": KindSheet(
        "the pose",
        (*_PLACES, "1boy", "1girl", "blonde hair", "dress", "armor", "from side", "from behind"),
    ),
    "concept": KindSheet(
        "the concept",
        (*_PLACES, "1boy", "1girl", "cat", "blonde hair", "sitting"),
    ),
    "style": KindSheet(
        "the style, whatever is drawn in it",
        (*_PLACES, "1boy", "1girl", "cat", "flower", "food", "car", "scenery", "portrait"),
    ),
}


def asks_of(kind: str) -> tuple[str, ...]:
    """Tags that this kind is asked for."""
    return KINDS[kind].asks if kind in KINDS else ()


def counts_of(kind: str, tags: Iterable[str]) -> tuple[str, ...]:
    """Those of `tags` that say how many persons there are, for a kind in which that matters."""
    if kind not in KINDS or not KINDS[kind].counts:
        return ()
    return tuple(tag for tag in tags if _COUNT.fullmatch(tag_key(tag)))


def contradictions(trait: str) -> tuple[str, ...]:
    """Other colours of a trait that begins with one: "blue hair" for "red hair"; () for others."""
    first, _, rest = tag_key(trait).partition(" ")
    if first not in COLOURS or not rest:
        return ()
    return tuple(f"{colour} {rest}" for colour in COLOURS if colour != first)
