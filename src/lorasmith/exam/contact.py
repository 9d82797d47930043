"""Contact sheets: many small pictures in one file, right and wrong told apart by their frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE, FRAME, COLUMNS = 96, 3, 12
#: No side of a small copy is longer.
COPY_SIDE = 160
GOOD, BAD, PLAIN = (46, 139, 87), (205, 70, 60), (200, 200, 200)


def contact_sheet(rows: Sequence[tuple[Image, Image | None, bool]]) -> Image:
    """(picture, the base's picture below it or None, whether it is right) as one RGB image."""
    import PIL.Image

    paired = any(base is not None for _, base, _ in rows)
    width, height = SIDE + 2 * FRAME, (SIDE + FRAME) * (2 if paired else 1) + FRAME
    columns = min(COLUMNS, len(rows)) or 1
    lines = -(-len(rows) // columns) or 1
    sheet = PIL.Image.new("RGB", (columns * (width + FRAME), lines * (height + FRAME)), "white")
    for index, (picture, base, good) in enumerate(rows):
        left, top = (index % columns) * (width + FRAME), (index // columns) * (height + FRAME)
        sheet.paste(GOOD if good else BAD, (left, top, left + width, top + SIDE + 2 * FRAME))
        sheet.paste(picture.resize((SIDE, SIDE)), (left + FRAME, top + FRAME))
        if base is not None:
            sheet.paste(PLAIN, (left, top + SIDE + 2 * FRAME, left + width, top + height))
            sheet.paste(base.resize((SIDE, SIDE)), (left + FRAME, top + SIDE + 2 * FRAME))
    return sheet


def small(image: Image, side: int = COPY_SIDE) -> Image:
    """A copy no larger than `side`, so that a thousand answers fit in memory."""
    copy = image.convert("RGB")
    copy.thumbnail((side, side))
    return copy
