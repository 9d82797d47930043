"""The dataset's facts in an adapter's header."""

from __future__ import annotations

from pathlib import Path

from lorasmith.training.inputs.images import TrainingImage
from lorasmith.training.runs.metadata import name_folders


def test_a_folder_with_different_repeats_counts_as_several() -> None:
    """Readers of the header expect one number a folder."""
    images = []
    for number, (folder, repeats) in enumerate([("5_main", 5), ("5_main", 9), ("side", 2), ("side", 2), ("", 1)]):
        path = Path(f"/x/pile/{number}.png")
        images.append(
            TrainingImage(path.name, path, repeats, (8, 8), (8, 8), sha256=str(number), caption="", folder=folder)
        )
    assert name_folders(images) == ["5_main", "9_main", "side", "side", "pile"]
