"""A5: the folders that kohya's GUI makes (bmaltais/kohya_ss, kohya_gui/class_folder_preparation.py: img, reg, log,
model below one root; sd-scripts, library/config_util.py, generate_dreambooth_subsets_config_by_subdirs: N_name)."""

from __future__ import annotations

from pathlib import Path

from lorasmith.dataset.create import create_project
from lorasmith.dataset.reading import read_dataset
from lorasmith.events import Event, Note, finish
from lorasmith.project import SubjectKind
from lorasmith.recipe.recipe import read_recipe
from tests.faults.make_dataset import made, make_gui_layout, put


def test_repeats_class_images_and_what_is_passed_over(tmp_path: Path) -> None:
    root, seen = made(make_gui_layout, tmp_path / "B"), list[Event]()
    (root / "model/x.png").write_bytes(b"")
    work = create_project(tmp_path / "p", subject=SubjectKind.CHARACTER, name=None, trigger="zbk", sources=[root])
    created = finish(work, seen.append)
    dataset = finish(read_dataset(created.project))
    assert [(item.name, item.repeats, item.caption) for item in dataset.items] == [
        (f"10_zbk girl/{i}.png", 10, "zbk, 1girl") for i in range(4)
    ]
    assert (created.ingested.images, created.ingested.class_images, created.ingested.left_out) == (4, 4, ())
    recipe = read_recipe(created.project)
    assert (recipe.preserve.kind, recipe.preserve.folder) == ("images", "reg")
    assert sorted(path.name for path in (tmp_path / "p/reg/1_girl").iterdir()) == [f"{i}.png" for i in range(4)]
    notes = [event.message for event in seen if isinstance(event, Note)]
    assert notes == [
        "The folders of kohya's trainer: img/ with the repeats of 10_zbk girl; reg/ as class images (4); "
        "log/, model/ passed over."
    ]


def test_without_class_images_the_recipe_stays(tmp_path: Path) -> None:
    put(tmp_path / "B/img/3_a/0.png", 0)
    (tmp_path / "B/reg").mkdir()
    work = create_project(
        tmp_path / "p", subject=SubjectKind.CHARACTER, name=None, trigger="zbk", sources=[tmp_path / "B"]
    )
    created = finish(work)
    assert read_recipe(created.project).preserve.kind != "images"
    assert created.ingested.class_images == 0


def test_a_folder_of_images_called_img_is_no_such_layout(tmp_path: Path) -> None:
    put(tmp_path / "B/img/0.png", 0)
    put(tmp_path / "B/reg/1.png", 1)
    work = create_project(
        tmp_path / "p", subject=SubjectKind.CHARACTER, name=None, trigger="zbk", sources=[tmp_path / "B"]
    )
    assert finish(work).ingested.images == 2
