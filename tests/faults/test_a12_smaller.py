"""A12: the smaller faults of intake and captions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import ImageFilter

from lorasmith.dataset.adding import add_images
from lorasmith.dataset.inspection import Inspection
from lorasmith.dataset.reading import read_dataset
from lorasmith.events import Event, Note, finish
from lorasmith.face.stages import build_files, inspect_images
from lorasmith.project import Project, open_project
from lorasmith.tags.pipeline import write_captions
from tests.faults.make_dataset import picture, put
from tests.faults.projects import project_of


def inspected(project: Project) -> Inspection:
    return finish(inspect_images(project))[1]


def build(project: Project) -> list[str]:
    """Write the captions and build; what is noted."""
    seen: list[Event] = []
    dataset = finish(read_dataset(project))
    finish(build_files(project, dataset, write_captions(project, dataset)), seen.append)
    return [event.message for event in seen if isinstance(event, Note)]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    images = tmp_path / "faces"
    for number in range(4):
        put(images / f"{number}.png", number, "1girl, smile")
    return project_of(images)


def test_one_stem_without_a_caption_shares_none(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        put(tmp_path / "I" / name, name)
    project = project_of(tmp_path / "I")
    assert not [each for each in inspected(project).findings if "share" in each.message]
    (tmp_path / "I" / "a.txt").write_text("smile")
    assert [each.message for each in inspected(project).findings if "share" in each.message] == [
        "a.jpg and a.png share one caption file."
    ]


def test_built_captions_that_say_low_quality_are_heard(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "faces" / "0.png"
    picture(0).filter(ImageFilter.GaussianBlur(9)).save(file)
    told = [each for each in inspected(project).findings if each.rule == "D13"]
    assert [each.images for each in told] == [("0.png",)]
    build(project)
    built = json.loads((project.cache / "captions.json").read_text("utf-8"))
    assert "low quality" in built["0.png"] or "blurry" in built["0.png"]
    assert not [each for each in inspected(project).findings if each.rule == "D13"]


def test_what_was_edited_in_the_build_is_kept_and_told(project: Project) -> None:
    assert build(project) == []
    assert build(project) == []
    (caption,) = project.built_dataset.glob("*/2.txt")
    caption.write_text("mended by hand\n", "utf-8")
    (note,) = build(project)
    assert note.startswith("2.txt was edited in dataset/, which is built anew: kept in ")
    (kept,) = project.built_dataset.parent.glob("edited captions/*/2.txt")
    assert kept.read_text("utf-8") == "mended by hand\n"
    assert caption.read_text("utf-8") != "mended by hand\n"
    assert build(project) == []


@pytest.mark.parametrize(("into", "told"), [("0_zero", True), ("3_three", False), ("plain", False)])
def test_a_folder_of_no_repeats_is_never_trained(tmp_path: Path, into: str, told: bool) -> None:
    """sd-scripts (library/config_util.py, extract_dreambooth_params) passes folders of less than one repeat over."""
    put(tmp_path / "p" / "images" / "a.png", 1, "smile")
    (tmp_path / "p" / "lora.toml").write_text(
        '[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\n[provenance]\nsource = "drawn"\n'
    )
    (tmp_path / "more").mkdir()
    picture(7).save(tmp_path / "more" / "b.png")
    seen: list[Event] = []
    finish(add_images(open_project(tmp_path / "p"), [tmp_path / "more"], into=into), seen.append)
    notes = [event.message for event in seen if isinstance(event, Note) and "never trained" in event.message]
    assert notes == ["0_zero/ has 0 repeats: its images are never trained."] * told
