"""A5: the folders that kohya's GUI makes (bmaltais/kohya_ss, kohya_gui/class_folder_preparation.py: img, reg, log,
model below one root; sd-scripts, library/config_util.py, generate_dreambooth_subsets_config_by_subdirs: N_name)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from lorasmith.dataset.create import create_project
from lorasmith.dataset.reading import read_dataset
from lorasmith.dataset.sources import open_source
from lorasmith.events import Event, Note, finish
from lorasmith.project import SubjectKind, open_project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.recipe.requirements import check_requirements
from tests.faults.make_dataset import made, make_gui_layout, put
from tests.faults.projects import project_of
from tests.images.drawings import save_drawings


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


def plain_layout(folder: Path) -> Path:
    """The same without img/: `N_name` folders beside reg/."""
    made(make_gui_layout, folder)
    (folder / "img/10_zbk girl").rename(folder / "10_zbk girl")
    (folder / "img").rmdir()
    return folder


def messages(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Note)]


def test_a_root_named_directly_is_read_as_laid_out(tmp_path: Path) -> None:
    project, seen = project_of(made(make_gui_layout, tmp_path / "B")), list[Event]()
    put(tmp_path / "B/model/sample/zbk_000100.png", "s")
    put(tmp_path / "B/cover.png", "c")
    dataset = finish(read_dataset(project), seen.append)
    assert [(item.name, item.folder, item.repeats) for item in dataset.items] == [
        ("cover.png", "", 1),
        *((f"img/10_zbk girl/{i}.png", "10_zbk girl", 10) for i in range(4)),
    ]
    assert (dataset.problems, dataset.orphans) == ((), ())
    assert messages(seen) == [
        "The folders of kohya's trainer: img/ with the repeats of 10_zbk girl; reg/ (4 class images) is for "
        'preserve.kind = "images", preserve.folder = "../B/reg"; log/, model/ passed over.'
    ]
    recipe = read_recipe(project, {"preserve.kind": '"images"', "preserve.folder": '"../B/reg"'})
    check_requirements(recipe, project.root)


def test_one_without_img_is_known_by_its_class_images(tmp_path: Path) -> None:
    project, seen = project_of(plain_layout(tmp_path / "B")), list[Event]()
    dataset = finish(read_dataset(project), seen.append)
    assert [(item.name, item.repeats) for item in dataset.items] == [(f"10_zbk girl/{i}.png", 10) for i in range(4)]
    (note,) = messages(seen)
    assert note.startswith("The folders of kohya's trainer: the repeats of 10_zbk girl; reg/ (4 class images) is for")


def test_one_of_several_roots_keeps_its_names_apart(tmp_path: Path) -> None:
    project = project_of(made(make_gui_layout, tmp_path / "B"))
    save_drawings(project.root / "images", 1)
    project.file.write_text(project.file.read_text().replace('["../B"]', '["../B", "images"]'))
    items = finish(read_dataset(open_project(project.root))).items
    assert [(item.name, item.repeats) for item in items] == [
        *((f"B/img/10_zbk girl/{i}.png", 10) for i in range(4)),
        ("images/000.png", 1),
    ]


def test_a_bundle_names_its_folders(tmp_path: Path) -> None:
    folder = made(make_gui_layout, tmp_path / "B")
    put(folder / "img/5_uvw/0.png", "u", "uvw")
    project = project_of(folder)
    member = '[bundle.{0}]\ntrigger = "{0}"\nfolders = "{1}"\n'
    text = project.file.read_text() + member.format("zbk", "10_zbk girl") + member.format("uvw", "img/5_uvw")
    project.file.write_text(text)
    items = finish(read_dataset(open_project(project.root))).items
    assert [item.member for item in items] == ["zbk"] * 4 + ["uvw"]


@pytest.mark.parametrize("name", ["img", "10_zbk girl"])
def test_a_folder_inside_of_it_is_read_as_before(tmp_path: Path, name: str) -> None:
    made(make_gui_layout, tmp_path / "B")
    folder = tmp_path / "B/img" if name == "img" else tmp_path / "B/img" / name
    seen: list[Event] = []
    project = project_of(folder)
    assert [item.repeats for item in finish(read_dataset(project), seen.append).items] == [10] * 4
    assert messages(seen) == []


def test_a_project_whose_images_folder_is_such_a_root(tmp_path: Path) -> None:
    """Nothing is copied, and the class images are used where they lie."""
    images = tmp_path / "p/images"
    images.mkdir(parents=True)
    made(make_gui_layout, images)
    work = create_project(tmp_path / "p", subject=SubjectKind.CHARACTER, name=None, trigger="zbk", sources=[images])
    project = finish(work).project
    assert [item.repeats for item in finish(read_dataset(project)).items] == [10] * 4
    assert read_recipe(project).preserve.folder == "images/reg"
    check_requirements(read_recipe(project), project.root)


@pytest.mark.parametrize("layout", ["img", "plain", "wrapped"])
def test_a_zip_of_them(tmp_path: Path, layout: str) -> None:
    folder = plain_layout(tmp_path / "B") if layout == "plain" else made(make_gui_layout, tmp_path / "B")
    put(folder / "model/sample/zbk_000100.png", "s")
    put(folder / "cover.png", "c")
    top = tmp_path if layout == "wrapped" else folder
    with zipfile.ZipFile(tmp_path / "B.zip", "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(top))
    seen: list[Event] = []
    work = create_project(
        tmp_path / "p", subject=SubjectKind.CHARACTER, name=None, trigger="zbk", sources=[tmp_path / "B.zip"]
    )
    created = finish(work, seen.append)
    items = finish(read_dataset(created.project)).items
    assert [(item.name, item.repeats, item.caption) for item in items] == [
        *((f"10_zbk girl/{i}.png", 10, "zbk, 1girl") for i in range(4)),
        ("cover.png", 1, None),
    ]
    assert created.ingested.class_images == 4
    recipe = read_recipe(created.project)
    assert (recipe.preserve.kind, recipe.preserve.folder) == ("images", "reg")
    check_requirements(recipe, created.project.root)
    learnt = "the repeats" if layout == "plain" else "img/ with the repeats"
    assert messages(seen) == [
        f"The folders of kohya's trainer: {learnt} of 10_zbk girl; reg/ as class images (4); model/ passed over."
    ]


def test_a_root_without_img_comes_in_by_new(tmp_path: Path) -> None:
    folder = plain_layout(tmp_path / "B")
    work = create_project(tmp_path / "p", subject=SubjectKind.CHARACTER, name=None, trigger="zbk", sources=[folder])
    created = finish(work)
    assert (created.ingested.images, created.ingested.class_images, created.ingested.left_out) == (4, 4, ())
    assert [item.repeats for item in finish(read_dataset(created.project)).items] == [10] * 4


def test_a_zip_of_other_folders_is_none(tmp_path: Path) -> None:
    put(tmp_path / "B/img/0.png", 0)
    put(tmp_path / "B/reg/1.png", 1)
    put(tmp_path / "B/10_zbk/2.png", 2)
    with zipfile.ZipFile(tmp_path / "B.zip", "w") as archive:
        for file in (tmp_path / "B").rglob("*.png"):
            archive.write(file, file.relative_to(tmp_path / "B"))
    offer = open_source(tmp_path / "B.zip")
    assert (offer.said, offer.class_images, offer.count) == ((), (), 3)
