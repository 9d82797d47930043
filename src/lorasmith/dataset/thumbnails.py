"""Small pictures of images, made once and kept in the project's cache by what the image holds."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lorasmith.images.opening import open_small
from lorasmith.project import Project
from lorasmith.storage.files import replacing

SIDES = (64, 128, 256, 512, 1024)
"""Longer sides in pixels that are kept; another one is answered with the next larger of these."""
FOLDER = "thumbnails"
_QUALITY = 84


def nearest_side(side: int) -> int:
    """The side that is kept for a wanted one."""
    return next((known for known in SIDES if known >= side), SIDES[-1])


def thumbnail_place(project: Project, sha256: str, side: int) -> Path:
    """Where the thumbnail of the image with these bytes is kept, or will be."""
    return project.cache / FOLDER / str(side) / sha256[:2] / f"{sha256}.jpg"


def make_thumbnail(project: Project, image: Path, sha256: str, side: int) -> Path:
    """The file of a thumbnail, made unless it is there: the whole picture upright, its longer side at most `side`
    pixels. Raises ImageError, StorageError."""
    place = thumbnail_place(project, sha256, side)
    if place.is_file():
        return place
    picture = open_small(image, side)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS if side > SIDES[2] else Image.Resampling.BOX)
    with replacing(place) as partial, partial.open("wb") as out:
        picture.save(out, "JPEG", quality=_QUALITY)
    return place
