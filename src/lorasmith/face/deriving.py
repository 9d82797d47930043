"""Pictures made from images as a user asks for them: which, of what, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

from lorasmith.dataset.derive import CUTS, Derived, combine, cut_up
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import UsageError
from lorasmith.events import Work
from lorasmith.face.deciding import known_words, read_label, refuse_labels
from lorasmith.images.collage import Layout
from lorasmith.images.crops import Box, Part
from lorasmith.project import Project
from lorasmith.tags.refusal import refuse


def make_collage_of(
    project: Project, dataset: Dataset, chosen: Sequence[Item], layout: Layout | None = None
) -> Work[tuple[Derived, ...]]:
    """One collage of the `chosen` images in their order (D8); without a layout in one that fits them. Raises
    UsageError, and RefusedError for what is known of all of them together."""
    said = known_words(project, dataset, chosen)
    refuse((word for words in said.values() for word in words), where=", ".join(said))
    return (yield from combine(project, chosen, layout or fitting_layout(chosen)))


def make_dataset_of_one(
    project: Project,
    dataset: Dataset,
    chosen: Sequence[Item],
    boxes: Sequence[Box] = (),
    names: Sequence[str] = (),
    *,
    mirrored: bool = True,
    count: int = CUTS,
    seed: int = 0,
) -> Work[tuple[Derived, ...]]:
    """A dataset from one image (D14): its drawn parts, which all have a name or none has, and changed copies. Raises
    UsageError, RefusedError."""
    given = [read_label(name) for name in names]
    if given and len(given) != len(boxes):
        raise UsageError(f"{len(boxes)} boxes, {len(given)} names.", hint="Name each of them, or none at all.")
    if len(chosen) != 1:
        raise UsageError(f"{len(chosen)} images are named; one is cut at a time.", field="image")
    for name in given:
        refuse_labels(project, dataset, chosen, name)
    parts = [Part(given[number] if given else f"part {number + 1}", place) for number, place in enumerate(boxes)]
    return (yield from cut_up(project, chosen[0], parts, named=bool(given), mirrored=mirrored, count=count, seed=seed))


def fitting_layout(chosen: Sequence[Item]) -> Layout:
    """Four and more in a grid; wide pictures above each other, others side by side."""
    if len(chosen) > 3:
        return "grid"
    wide = sum(1 for item in chosen if item.size[0] > 1.2 * item.size[1])
    return "stack" if 2 * wide > len(chosen) else "side"
