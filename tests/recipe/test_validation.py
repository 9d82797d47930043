"""What is held out: a share, and never one of two near-duplicates."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lorasmith.dataset.reading import read_dataset
from lorasmith.events import finish
from lorasmith.recipe.recipe import read_recipe
from lorasmith.recipe.validation import hold_out, split_validation
from tests.projects import build_project, draw_apart

NAMES = [f"{number}.png" for number in range(20)]


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_never_cut(seed: int) -> None:
    groups = [NAMES[:3], NAMES[5:7], NAMES[6:9], ("alien.png", NAMES[10])]
    held = split_validation(NAMES, groups, 0.2, seed)
    assert 1 <= len(held) <= 4
    for together in (set(NAMES[:3]), set(NAMES[5:9])):
        assert together <= held or not together & held
    assert held == split_validation(NAMES, groups, 0.2, seed)


def test_every_image_has_its_turn() -> None:
    assert frozenset().union(*(split_validation(NAMES, [], 0.2, seed) for seed in range(60))) == set(NAMES)


def test_nothing_fits_and_nothing_is_asked() -> None:
    assert split_validation(NAMES[:3], [NAMES[:3]], 0.3, 0) == frozenset()
    assert split_validation(NAMES[:1], [], 0.5, 0) == frozenset()
    assert split_validation(NAMES, [], 0.0, 0) == frozenset()


@pytest.mark.parametrize("seed", range(4))
def test_copies_of_a_project_stay_on_one_side(tmp_path: Path, seed: int) -> None:
    project = build_project(tmp_path, f"validation.share = 0.4\nseed = {seed}", sizes=[(64, 64)] * 5)
    draw_apart(project.root / "images")
    first = project.root / "images" / "0.png"
    with Image.open(first) as image:
        image.resize((60, 60)).save(project.root / "images" / "1.png")
    dataset = finish(read_dataset(project))
    trained, held = finish(hold_out(project, read_recipe(project), dataset))
    names = {item.path.name for item in held.items}
    assert 1 <= len(names) <= 2
    assert len(trained.items) + len(held.items) == 5
    assert ("0.png" in names) == ("1.png" in names)
