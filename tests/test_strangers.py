"""Small folders of strangers, as people have them: a folder is what its truth says, and curation keeps the good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.stranger_truth import cut_square, is_portrait_of, read_truth
from PIL import Image, ImageOps

from lorasmith.cli.main import run
from lorasmith.dataset.reading import read_dataset
from lorasmith.events import finish
from lorasmith.project import open_project

STRANGERS = Path(__file__).parent / "strangers"
NAMES = ("glod", "glorie", "ravn")


def truth_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STRANGERS / f"{name}.json").read_text("utf-8"))
    return found


def test_the_three_sets_are_of_three_kinds() -> None:
    assert tuple(sorted(path.stem for path in STRANGERS.glob("*.json"))) == NAMES
    assert {truth_of(name)["kind"] for name in NAMES} == {"character", "style", "concept"}


@pytest.mark.parametrize("name", NAMES)
def test_the_truth_knows_every_file(name: str) -> None:
    truth = truth_of(name)
    assert {path.name for path in (STRANGERS / name).iterdir()} == {*truth["files"], "read me.txt"}
    good = [file for file, each in truth["files"].items() if each["good"]]
    assert len(good) == 20
    shapes = set()
    for file in good:
        with Image.open(STRANGERS / name / file) as image:
            upright = ImageOps.exif_transpose(image)
            width, height = truth["files"][file]["frame"][2:]
            assert upright.width / upright.height == pytest.approx(width / height, rel=0.03)
            shapes.add(upright.size)
        assert truth["files"][file]["seen"]["style"]
    assert len(shapes) >= 8
    assert sorted(each["spoiled"] for each in truth["files"].values() if each["spoiled"]) == sorted(
        ["blurred", "again", "mirrored", "thumbnail", "dark", "broken"]
    )


@pytest.mark.parametrize("name", NAMES)
def test_curation_loses_no_good_image_and_finds_what_is_spoiled(name: str, tmp_path: Path) -> None:
    truth = truth_of(name)
    project = tmp_path / name
    made = ["new", str(project), "--subject", truth["kind"], "--trigger", truth["trigger"]]
    assert run([*made, "--images", str(STRANGERS / name)]) == 0
    assert run(["curate", "auto", str(project)]) == 0
    kept = {item.name for item in finish(read_dataset(open_project(project))).items}
    files = truth["files"]
    # Of a picture and its mirror image either may stay.
    mirrored = {each["same_as"]: file for file, each in files.items() if each["spoiled"] == "mirrored"}
    stays = kept | {file for file, mirror in mirrored.items() if mirror in kept}
    assert not {file for file, each in files.items() if each["good"]} - stays, "good images are lost"
    found = {each["spoiled"] for file, each in files.items() if file not in kept}
    found |= {"mirrored"} if set(mirrored) - kept else set()
    # With so few pixels a smaller copy may be another picture, and a thumbnail no tiny one.
    assert {"mirrored", "blurred", "broken"} <= found


def squares(name: str, style: str) -> list[Image.Image]:
    files = truth_of(name)["files"].items()
    return [cut_square(STRANGERS / name / file) for file, each in files if each["good"] and is_portrait_of(each, style)]


def test_the_renderers_truth_tells_a_stranger_from_others() -> None:
    """By colours at known places, of a character and a concept; the others stand for pictures of the bare base."""
    others = squares("glorie", "personas")
    ravn = read_truth(STRANGERS / "ravn.json", {"personas": others})
    assert len(others) >= 3
    mine = [ravn.marks(picture, "personas") for picture in squares("ravn", "personas")]
    assert len(mine) >= 10
    assert all(marks["trait 1"] and marks["skin"] for marks in mine)
    assert not any(all(ravn.marks(picture, "personas").values()) for picture in others)
    assert ravn.separations()["personas: trait 1"] > 0.9


def test_the_look_of_a_style_is_told_by_its_pixels() -> None:
    others = squares("ravn", "personas")
    glod = read_truth(STRANGERS / "glod.json", {"personas": others})
    files = truth_of("glod")["files"].items()
    mine = [cut_square(STRANGERS / "glod" / file) for file, each in files if each["good"]]
    assert len(mine) == 20
    assert sum(glod.marks(picture, None)["pixels"] for picture in mine) >= 17, "with so few pixels lines are thin"
    assert sum(glod.marks(picture, None)["pixels"] for picture in others) <= 1, "one of them is blue in blue"
