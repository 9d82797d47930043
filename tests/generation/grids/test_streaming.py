"""PNG files from bands: the same pixels as a picture in memory, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorasmith.errors import StorageError
from lorasmith.generation.grids.streaming import write_png
from lorasmith.generation.sheets import draw_sheet, plan_table


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_bands_make_the_whole_picture(tmp_path: Path) -> None:
    whole = noise(37, 50)
    bands = [whole.crop((0, top, 37, bottom)) for top, bottom in ((0, 1), (1, 30), (30, 50))]
    with Image.open(write_png(tmp_path / "new" / "a.png", (37, 50), bands)) as found:
        assert found.mode == "RGB"
        assert found.tobytes() == whole.tobytes()


def test_a_table_in_bands_is_the_sheet(tmp_path: Path) -> None:
    rows: list[list[Image.Image | str]] = [[noise(96, 96), "unknown adapter"], [noise(96, 64, 1), noise(96, 96, 2)]]
    sheet = draw_sheet(rows, ["one", "two"], ["a", "b"], "a title", "seed 1")
    table = plan_table((192, 192), 2, 2, ["one", "two"], ["a", "b"], "a title", "seed 1")
    with Image.open(write_png(tmp_path / "a.png", (table.width, table.height), table.bands(rows))) as found:
        assert found.tobytes() == sheet.tobytes()


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Image.Image]:
        yield noise(8, 4)
        raise KeyboardInterrupt

    for bands, fault in ((broken(), KeyboardInterrupt), ([noise(8, 3)], ValueError), ([noise(9, 8)], ValueError)):
        with pytest.raises(fault):
            write_png(tmp_path / "a.png", (8, 8), bands)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        write_png(tmp_path / "file" / "a.png", (8, 8), [noise(8, 8)])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
