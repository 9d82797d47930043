"""Made pictures: pixels, captions, lineage, and how they come and go."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lorasmith.dataset.decisions import Decision, read_decisions, record, undo
from lorasmith.dataset.derive import (
    PATTERNS,
    Derived,
    adopt,
    alter_images,
    check_box,
    check_operations,
    combine,
    cut_up,
    read_drawings,
    replace_clones,
)
from lorasmith.dataset.lineage import read_lineage
from lorasmith.dataset.reading import Item
from lorasmith.errors import ImageError, UsageError
from lorasmith.events import finish
from lorasmith.images.alteration import OPERATIONS, alter, apply
from lorasmith.images.crops import Part
from lorasmith.project import Project, SubjectKind
from tests.dataset.projects import make_project, read
from tests.images.drawings import draw


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_project(tmp_path)
    for number, caption in enumerate(("zbk, 1girl, looking left", "zbk, 1boy, rain", None)):
        file = project.root / "images" / "5_main" / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        draw(number, (160, 200)).save(file)
        if caption:
            file.with_suffix(".txt").write_text(caption, "utf-8")
    return project


def item(project: Project, name: str) -> Item:
    return next(item for item in read(project).items if item.name == name)


def users_files(project: Project) -> dict[Path, tuple[bytes, int]]:
    files = [path for path in (project.root / "images").rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


def made_names(project: Project) -> set[str]:
    return {item.name for item in read(project).items if item.lineage is not None}


def test_altered_copies_with_captions_and_lineage(project: Project) -> None:
    before, source = users_files(project), item(project, "5_main/0.png")
    made = finish(alter_images(project, [source], OPERATIONS, count=len(OPERATIONS), seed=3))
    assert [picture.operation for picture in made] == list(OPERATIONS)
    assert users_files(project) == before
    items = {item.name: item for item in read(project).items}
    lineage = read_lineage(project)
    with Image.open(source.path) as original:
        for picture in made:
            line = lineage[picture.sha256]
            assert line.sources == (source.facts.sha256,)
            assert apply(original, picture.operation, line.parameters).tobytes() == pixels(picture.path)  # type: ignore[arg-type]
            twin = items[f"made/{picture.name}"]
            assert twin.lineage == line
            assert twin.repeats == 5
    captions = {picture.operation: items[f"made/{picture.name}"].caption for picture in made}
    assert captions["flip"] == "zbk, 1girl, looking right"
    assert captions["grayscale"] == "zbk, 1girl, looking left, monochrome, greyscale"


def test_the_same_again_is_found_and_another_seed_is_new(project: Project) -> None:
    source = item(project, "5_main/0.png")

    def copies(seed: int) -> Sequence[Derived]:
        return finish(alter_images(project, [source], ("crop", "flip"), count=2, seed=seed))

    first = copies(0)
    files = {path: path.stat().st_mtime_ns for path in project.made.iterdir()}
    again = copies(0)
    assert [picture.existed for picture in again] == [True, True]
    assert [picture.path for picture in again] == [picture.path for picture in first]
    assert {path: path.stat().st_mtime_ns for path in project.made.iterdir()} == files
    assert len(read_decisions(project).steps) == 1
    assert [picture.existed for picture in copies(1)] == [False, True]


def test_undo_takes_it_out_and_making_again_brings_it_back(project: Project) -> None:
    source = item(project, "5_main/0.png")
    before = made_names(project)
    finish(alter_images(project, [source], ("flip",)))
    assert made_names(project) == before | {"made/5_main-0-flip.png"}
    undo(project)
    assert made_names(project) == before
    (again,) = finish(alter_images(project, [source], ("flip",)))
    assert not again.existed
    assert made_names(project) == before | {"made/5_main-0-flip.png"}


def test_fixed_operations_are_done_once(project: Project) -> None:
    made = finish(alter_images(project, [item(project, "5_main/0.png")], ("grayscale",), count=4))
    assert len(made) == 1


def test_a_crop_is_what_is_altered(project: Project) -> None:
    source = item(project, "5_main/0.png")
    record(project, [Decision(source.facts.sha256, "crop", (10, 20, 90, 120))])
    (made,) = finish(alter_images(project, [item(project, "5_main/0.png")], ("flip",)))
    with Image.open(source.path) as original:
        part = original.crop((10, 20, 90, 120))
    assert pixels(made.path) == alter(part, "flip", 0).image.tobytes()
    assert read_lineage(project)[made.sha256].parameters == {"crop": [10, 20, 90, 120]}


def test_two_sources_of_one_name_do_not_meet(project: Project) -> None:
    other = project.root / "images" / "5_main-0.png"
    draw(9, (160, 200)).save(other)
    items = [item(project, "5_main/0.png"), item(project, "5_main-0.png")]
    made = finish(alter_images(project, items, ("flip",)))
    assert [picture.name for picture in made] == ["5_main-0-flip.png", "5_main-0-flip-2.png"]
    assert len(made_names(project)) == 2


def test_clones_become_altered_copies_in_one_step(project: Project) -> None:
    images = project.root / "images" / "5_main"
    (images / "0b.png").write_bytes((images / "0.png").read_bytes())
    (images / "0c.png").write_bytes((images / "0.png").read_bytes())
    made = finish(replace_clones(project, read(project), OPERATIONS))
    assert [picture.sources for picture in made] == [("5_main/0b.png",), ("5_main/0c.png",)]
    assert len({picture.operation for picture in made}) == 2
    dataset = read(project)
    assert {item.name for item in dataset.rejected} == {"5_main/0b.png", "5_main/0c.png"}
    captions = {item.caption for item in dataset.items if item.lineage}
    assert captions == {"zbk, 1girl, looking left"}, "the caption of the copy that has one"
    undo(project)
    assert {item.name for item in read(project).items} >= {"5_main/0b.png", "5_main/0c.png"}
    assert made_names(project) == set()
    assert finish(replace_clones(project, read(project), ("crop",)))


def test_a_collage_has_both_and_says_both(project: Project) -> None:
    pair = [item(project, "5_main/0.png"), item(project, "5_main/1.png")]
    (made,) = finish(combine(project, pair, "side"))
    collage = item(project, f"made/{made.name}")
    assert collage.size == (320, 200)
    assert collage.lineage is not None
    assert collage.lineage.sources == tuple(one.facts.sha256 for one in pair)
    assert collage.caption == "zbk, 1girl, looking left, 1boy, rain, collage"
    with pytest.raises(UsageError, match="takes 2 to 3 images, not 1"):
        finish(combine(project, pair[:1], "inset"))


@pytest.mark.parametrize("count", [15, 18, 20])
def test_one_image_becomes_so_many(project: Project, count: int) -> None:
    made = finish(cut_up(project, item(project, "5_main/0.png"), count=count))
    assert len(made) == count
    assert len({picture.sha256 for picture in made}) == count
    operations = {word for picture in made for word in picture.operation.split(", ")}
    assert {"cut", "grayscale", "flip", "rotate", "aspect", "overlay"} <= operations
    assert len(made_names(project)) == count
    again = finish(cut_up(project, item(project, "5_main/0.png"), count=count))
    assert all(picture.existed for picture in again)


def test_without_mirror_images(project: Project) -> None:
    made = finish(cut_up(project, item(project, "5_main/0.png"), mirrored=False))
    assert len(made) == 18
    assert not any("flip" in picture.operation for picture in made)


def test_drawn_parts_are_cut_named_and_labelled(project: Project) -> None:
    parts = [Part("head", (40, 10, 120, 80)), Part("left hand", (0, 100, 60, 160))]
    made = finish(cut_up(project, item(project, "5_main/0.png"), parts))
    heads = [picture for picture in made if picture.operation.startswith("cut") and "-head" in picture.name]
    assert pixels(heads[0].path) == draw(0, (160, 200)).crop((40, 10, 120, 80)).tobytes()
    first = item(project, f"made/{heads[0].name}")
    assert (first.caption, first.facets) == ("zbk, 1girl, looking left, head", ("head",))
    flipped = next(p for p in made if p.operation == "cut, flip" and "left_hand" in p.name)
    assert item(project, f"made/{flipped.name}").caption == "zbk, 1girl, looking right, right hand"
    assert not any("upper" in picture.name for picture in made), "drawn parts take the place of proposed ones"


def test_a_plain_small_picture_still_gives_what_differs(project: Project) -> None:
    small = project.root / "images" / "small.png"
    draw(30, (40, 40)).save(small)
    made = finish(cut_up(project, item(project, "small.png")))
    assert len(made) == 18


@pytest.mark.parametrize("box", [(0, 0, 161, 100), (0, 0, 31, 100), (-1, 0, 50, 50), (50, 0, 50, 60)])
def test_boxes_are_checked(project: Project, box: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="box: "):
        check_box(box, (160, 200), "a.png")
    with pytest.raises(UsageError, match="box: "):
        finish(cut_up(project, item(project, "5_main/0.png"), [Part("x", box)]))
    assert not project.made.exists()


@pytest.mark.parametrize("count", [14, 21])
def test_a_first_round_has_15_to_20(project: Project, count: int) -> None:
    with pytest.raises(UsageError, match="out of range"):
        finish(cut_up(project, item(project, "5_main/0.png"), count=count))


def test_every_kind_has_a_pattern_and_operations_are_known() -> None:
    assert set(PATTERNS) == set(SubjectKind)
    assert check_operations([]) == OPERATIONS
    assert check_operations(["flip", "crop"]) == ("flip", "crop")
    with pytest.raises(UsageError, match="Operations: crop"):
        check_operations(["mirror"])


def test_adopted_drawings_bring_their_prompt_and_no_metadata(project: Project, tmp_path: Path) -> None:
    info = PngInfo()
    text = "zbk, (hat:1.2) <lora:zbk:0.8>\nSteps: 8, Sampler: Euler, Seed: 5, Model: doodle"
    info.add_text("parameters", text)
    folder = tmp_path / "kept"
    folder.mkdir()
    draw(40, (64, 64)).save(folder / "x.png", pnginfo=info)
    draw(41, (64, 64)).save(folder / "y.png")
    one, other = finish(adopt(project, read_drawings([folder])))
    first, second = item(project, f"made/{one.name}"), item(project, f"made/{other.name}")
    assert (first.caption, second.caption) == ("zbk, hat", None)
    assert first.lineage is not None
    assert first.lineage.operation == "adopt"
    assert first.lineage.sources == (hashlib.sha256((folder / "x.png").read_bytes()).hexdigest(),)
    assert first.lineage.seed == 5
    assert first.lineage.parameters["adapters"] == {"zbk": "0.8"}
    assert first.lineage.parameters["round"] == 2
    with Image.open(one.path) as copy:
        assert copy.info == {}
        assert np.array_equal(np.asarray(copy), np.asarray(draw(40, (64, 64))))
    assert all(picture.existed for picture in finish(adopt(project, read_drawings([folder]))))
    with pytest.raises(UsageError, match="round 2 at the earliest"):
        finish(adopt(project, read_drawings([folder]), round_number=1))


def test_what_was_made_before_a_fault_can_be_undone(project: Project, tmp_path: Path) -> None:
    draw(40, (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(ImageError, match="not an image"):
        finish(adopt(project, read_drawings([tmp_path / "a.png", tmp_path / "b.png"])))
    assert len(made_names(project)) == 1
    undo(project)
    assert made_names(project) == set()


def test_copies_of_copies_keep_their_chain(project: Project) -> None:
    (first,) = finish(alter_images(project, [item(project, "5_main/1.png")], ("flip",)))
    (second,) = finish(alter_images(project, [item(project, f"made/{first.name}")], ("grayscale",)))
    assert second.name == "5_main-1-flip-grayscale.png"
    copy = item(project, f"made/{second.name}")
    assert copy.lineage is not None
    assert copy.lineage.sources == (first.sha256,)
    assert copy.repeats == 5
