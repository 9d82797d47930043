"""A12: the smaller faults of intake and captions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import ImageFilter

from lorasmith.cli.main import run
from lorasmith.dataset.adding import add_images
from lorasmith.dataset.inspection import Inspection
from lorasmith.dataset.reading import read_dataset
from lorasmith.events import Event, Note, Work, finish
from lorasmith.face.stages import build_files, inspect_images, plan_training
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


LONG = ", ".join(["1girl", "smile", *(f"red hat {number}" for number in range(45))])
SMALL = "resolution = 64\nbucket.min = 32\nbucket.step = 32\nrank = 1\ntarget_steps = 1"
TOLD = "2 captions (a.png, ...) are longer than the 75 tokens that are read; the rest is cut."
WAY = "To have more read, in [recipe]: caption.max_tokens = 150"


def long_project(folder: Path, base: str | Path = "doodle", recipe: str = SMALL) -> Project:
    """Two captions of over 75 tokens, and a short one."""
    for name, caption in (("a", LONG), ("b", LONG), ("c", "1girl")):
        put(folder / f"{name}.png", name, caption)
    return project_of(folder, recipe=recipe, base=base)


@pytest.mark.parametrize("use", [("plan",), ("train",), ("tag",), ("tag", "--write"), ("inspect",)])
def test_long_captions_are_told_by_every_command(
    tmp_path: Path, tiny_base_folder: Path, capsys: pytest.CaptureFixture[str], use: tuple[str, ...]
) -> None:
    project = long_project(tmp_path / "I", tiny_base_folder)
    command, *options = use
    assert run([command, str(project.root), *options]) in (0, 1)
    assert " ".join(capsys.readouterr().err.split()).count(f"{TOLD} {WAY}") == 1


def length_notes(work: Work[Any]) -> list[str]:
    seen: list[Event] = []
    finish(work, seen.append)
    return [event.message for event in seen if isinstance(event, Note) and "longer than" in event.message]


@pytest.mark.parametrize(("tokens", "told"), [(75, 1), (150, 1), (225, 0)])
def test_the_recipe_says_how_much_is_read(tmp_path: Path, tokens: int, told: int) -> None:
    project = long_project(tmp_path / "I", recipe=f"{SMALL}\ncaption.max_tokens = {tokens}")
    for work in (plan_training(project), inspect_images(project)):
        notes = length_notes(work)
        assert len(notes) == told
        assert all(f"the {tokens} tokens" in note and f"max_tokens = {tokens + 75}" in note for note in notes)
    assert length_notes(plan_training(project, {"caption.max_tokens": "225"})) == []


def test_what_the_rules_leave_out_is_not_counted(tmp_path: Path) -> None:
    project = long_project(tmp_path / "I")
    project.file.write_text(project.file.read_text().replace("[tags]", '[tags]\nundesired = "red hat *"', 1))
    assert length_notes(inspect_images(open_project(project.root))) == []


def test_an_inspection_of_a_recipe_with_faults_says_nothing_of_lengths(tmp_path: Path) -> None:
    assert length_notes(inspect_images(long_project(tmp_path / "I", recipe="rnak = 3"))) == []


def test_captions_are_counted_without_torch(tmp_path: Path) -> None:
    project = long_project(tmp_path / "I")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from lorasmith.events import finish\n"
        "from lorasmith.face.stages import plan_training\n"
        "from lorasmith.project import open_project\n"
        "finish(plan_training(open_project(Path(sys.argv[1]))), lambda event: print(event))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(project.root)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert TOLD in done.stdout
