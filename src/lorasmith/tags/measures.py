"""Which images are of low quality, as measured: blurred, enlarged, or small beside the others (T7)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from lorasmith.dataset.fingerprinting import measure_blur
from lorasmith.dataset.index import open_index
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.events import Work, finish
from lorasmith.project import Project
from lorasmith.tags.settings import TagsTable


def find_poor(project: Project, dataset: Dataset, settings: TagsTable) -> Mapping[str, str]:
    """What `measure_poor` gives, without its progress."""
    return finish(measure_poor(project, dataset, settings))


def measure_poor(project: Project, dataset: Dataset, settings: TagsTable) -> Work[Mapping[str, str]]:
    """Item name -> why the image counts as of low quality; empty when nobody wants to know ([tags] quality, off).

    What was measured before is remembered in the project's index. Images that are gone are left out.
    """
    if not settings.quality or "quality" in settings.off:
        return {}
    with open_index(project.cache) as index:
        blurs = yield from measure_blur(index, dataset)
    poor = {
        name: f"blurred or enlarged: its sharpness measure is {blur:.2f}"
        for name, blur in blurs.items()
        if blur > settings.blurred
    }
    for name, side, usual in _small(dataset, settings.small):
        poor.setdefault(name, f"small: {side} pixels where {usual} are usual")
    return poor


def is_collage(item: Item) -> bool:
    """Whether the image was put together of several, which may differ in all that tags say."""
    return item.lineage is not None and item.lineage.operation == "collage"


def _small(dataset: Dataset, share: float) -> list[tuple[str, int, int]]:
    """(name, shorter side, median shorter side) of the user's whole pictures that are small beside the others."""
    sides = {item.name: min(item.size) for item in dataset.items if item.lineage is None and item.crop is None}
    if not sides:
        return []
    usual = round(statistics.median(sides.values()))
    return [(name, side, usual) for name, side in sides.items() if side < share * usual]
