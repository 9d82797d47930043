"""The sheets of a grid, once its pictures are there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image


def draw_sheets(detail: Mapping[str, Any], shown: Mapping[int, Path | str], title: str) -> list[Image]:
    """The finished sheets, one for each place on the z axis; `shown` are files or reasons by the pictures' numbers."""
    from lorasmith.generation.sheets import draw_sheet
    from lorasmith.images.opening import open_rgb

    axes, places = detail["axes"], detail["places"]
    across, down = len(axes["x"]), len(axes["y"])
    sheets = []
    for page in range(len(axes["z"])):
        cells: list[list[Image | str]] = []
        for row in range(down):
            first = (page * down + row) * across
            line: list[Image | str] = []
            for place in places[first : first + across]:
                found = place if isinstance(place, str) else shown.get(place, "not drawn")
                line.append(found if isinstance(found, str) else open_rgb(found))
            cells.append(line)
        note = axes["z"][page]
        rows = axes["y"] if any(axes["y"]) else ()
        sheets.append(draw_sheet(cells, axes["x"], rows, title, note))
    return sheets
