"""Images that are held out of training, to see whether an adapter learns its subject or its pictures.

A near-duplicate of a trained image is no test of anything: whatever groups of like pictures the caller knows stay on
one side, and changed copies stay with what they were made of.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from lorasmith.dataset.decisions import read_decisions
from lorasmith.dataset.fingerprinting import take_signatures
from lorasmith.dataset.index import open_index
from lorasmith.dataset.likeness import group_images
from lorasmith.dataset.reading import Dataset
from lorasmith.events import Note, Work
from lorasmith.project import Project
from lorasmith.recipe.recipe import Recipe


def split_validation(
    names: Sequence[str], groups: Iterable[Collection[str]], share: float, seed: int
) -> frozenset[str]:
    """About `share` of the names, at least one and never all, chosen by `seed`; a group is held out whole or not.

    Groups that overlap are one. Larger ones than a share leaves room for stay in training; where nothing fits, none is
    held out.
    """
    room = max(1, round(share * len(names))) if share else 0
    held: set[str] = set()
    kin = _join(names, groups)
    random.Random(f"{seed}:validation").shuffle(kin)
    for together in kin:
        if len(held) + len(together) <= min(room, len(names) - 1):
            held |= together
    return frozenset(held)


def _join(names: Sequence[str], groups: Iterable[Collection[str]]) -> list[set[str]]:
    """The names in sets that no group crosses, in the order of their first names."""
    own = {name: {name} for name in names}
    for group in groups:
        together: set[str] = set()
        for name in group:
            together |= own.get(name, set())
        for name in together:
            own[name] = together
    seen: dict[int, set[str]] = {id(each): each for each in own.values()}
    return list(seen.values())


def hold_out(project: Project, recipe: Recipe, dataset: Dataset) -> Work[tuple[Dataset, Dataset]]:
    """The images to train on, and those that are held out (none when the recipe does not validate)."""
    if not recipe.validation.share:
        return dataset, replace(dataset, items=())
    decisions = read_decisions(project)
    with open_index(project.cache) as index:
        groups = group_images((yield from take_signatures(index, dataset)), decisions.distinct)
    by_content: dict[str, list[str]] = {}
    for item in dataset.items:
        by_content.setdefault(item.facts.sha256, []).append(item.name)
        for source in () if item.lineage is None else item.lineage.sources:
            by_content.setdefault(source, []).append(item.name)
    kin = [*(group.images for group in groups), *by_content.values()]
    held = split_validation([item.name for item in dataset.items], kin, recipe.validation.share, recipe.seed)
    if not held:
        yield Note("validation: no image can be held out without its near-duplicates.", "warning")
    return (
        replace(dataset, items=tuple(item for item in dataset.items if item.name not in held)),
        replace(dataset, items=tuple(item for item in dataset.items if item.name in held)),
    )
