"""Kinds of tags."""

from __future__ import annotations

from collections.abc import Mapping

GENERAL, ARTIST, COPYRIGHT, CHARACTER, META, RATING, QUALITY, MODEL = 0, 1, 3, 4, 5, 9, 10, 11
CATEGORIES: Mapping[str, int] = {
    "general": GENERAL,
    "artist": ARTIST,
    "copyright": COPYRIGHT,
    "character": CHARACTER,
    "meta": META,
    "rating": RATING,
    "quality": QUALITY,
    "model": MODEL,
}
"""Kinds of tags by their names. Numbers up to 9 are those of public tag lists; quality and model are our own."""
