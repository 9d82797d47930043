"""The dataset's facts in an adapter's header."""

from __future__ import annotations

from pathlib import Path

from lorasmith.dataset.reading import Item
from lorasmith.images.opening import ImageFacts
from lorasmith.recipe.plan import PlannedImage
from lorasmith.training.runs.metadata import name_folders


def test_a_folder_with_different_repeats_counts_as_several() -> None:
    """Readers of the header expect one number a folder."""
    images, items = [], []
    for number, (folder, repeats) in enumerate([("5_main", 5), ("5_main", 9), ("side", 2), ("side", 2), ("", 1)]):
        path = Path(f"/x/pile/{number}.png")
        items.append(Item(path, path.name, ImageFacts(path, 8, 8, "png", str(number)), None, folder, repeats))
        images.append(PlannedImage(path.name, path, repeats, (8, 8), (8, 8)))
    assert name_folders(items, images) == ["5_main", "9_main", "side", "side", "pile"]
