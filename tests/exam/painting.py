"""A toy that paints a picture's seed in red, for the tests of crews: importable by every worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from PIL import Image

from lorasmith.exam.drawing import Row


def open_toy() -> Callable[[Sequence[Row]], list[Image.Image]]:
    """A worker says in green that it was it; it dies at seed 99 and fails at 98."""

    def draw(rows: Sequence[Row]) -> list[Image.Image]:
        if rows[0].seed == 99:
            os._exit(1)
        if rows[0].seed == 98:
            raise RuntimeError("no such seed")
        return paint(rows, green=255)

    return draw


class Red:
    """An exam's own artist: nothing in green."""

    def draw(self, rows: Sequence[Row]) -> list[Image.Image]:
        return paint(rows)

    def develop(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        return list(images)


def paint(rows: Sequence[Row], green: int = 0) -> list[Image.Image]:
    return [Image.new("RGB", (2, 2), (row.seed, green, 0)) for row in rows]
