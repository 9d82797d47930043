"""Captions computed from raw tags; what each rule did; what would change."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import ProjectError, UsageError
from lorasmith.images.opening import ImageFacts
from lorasmith.project import Project
from lorasmith.tags.building import Change, build_dataset, compare_captions
from lorasmith.tags.pipeline import RuleEffect, TagFate, explain_caption, write_captions
from lorasmith.tags.rules import RULES
from lorasmith.tags.store import ScoredTag, StoredTags, store
from tests.dataset.projects import make_project, read
from tests.images.drawings import draw, save_drawings

TAGS = """
[tags]
undesired = "Watermark , b"
absorb = ["* Hair", "blue_eyes"]
add = "drawing"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One picture each with a caption, with tags by a tagger, with a folder's words, with nothing."""
    made = make_project(tmp_path, TAGS)
    images = made.root / "images"
    save_drawings(images, 1, 0, caption="1girl, Blonde_Hair, smile, b, zbk, watermark, 1girl")
    save_drawings(images, 1, 1)
    save_drawings(images / "3_my_chair", 1, 2)
    save_drawings(images, 1, 3, caption="")
    tagged = next(item for item in read(made).items if item.name == "001.png")
    tags = (
        ScoredTag("blue_eyes", 0, 0.9),
        ScoredTag("open_mouth", 0, 0.5),
        ScoredTag("^_^", 0, 0.6),
        ScoredTag("unlikely", 0, 0.2),
        ScoredTag("somebody", 4, 0.7),
        ScoredTag("general", 9, 0.8),
    )
    store(made, [StoredTags(tagged.facts.sha256, "test", tags)])
    return made


def test_captions(project: Project) -> None:
    assert write_captions(project, read(project)).captions == {
        "000.png": "zbk, 1girl, smile, drawing",
        "001.png": "zbk, ^_^, open mouth, drawing",
        "003.png": "zbk, drawing",
        "3_my_chair/002.png": "zbk, my chair, drawing",
    }


def test_effects_count_the_changed_captions(project: Project) -> None:
    captioning = write_captions(project, read(project))
    assert captioning.rules == (
        RuleEffect("underscores", 1),
        RuleEffect("duplicates", 1),
        RuleEffect("undesired", 1),
        RuleEffect("absorb", 2),
        RuleEffect("add", 4),
        RuleEffect("trigger", 4),
    )
    document = json.loads(json.dumps(captioning.as_json()))
    assert set(document) == {"captions", "rules"}
    assert document["rules"][0] == {"name": "underscores", "changed": 1}


def test_rules_have_names_ids_and_reasons() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) == 6
    assert all(rule.id.startswith("T") and rule.why for rule in RULES)


def test_explaining_tells_the_fate_of_every_tag(project: Project) -> None:
    explanation = explain_caption(project, read(project), "000.png")
    fates = {fate.tag: (fate.fate, fate.rule) for fate in explanation.tags}
    assert fates == {
        "1girl": ("kept", ""),
        "Blonde_Hair": ("dropped", "T4"),
        "smile": ("kept", ""),
        "b": ("dropped", "T5"),
        "watermark": ("dropped", "T5"),
        "zbk": ("kept", ""),
        "drawing": ("added", "T13"),
    }
    assert explanation.caption == "zbk, 1girl, smile, drawing"


def test_explaining_a_new_spelling_and_finding_by_the_end_of_a_path(project: Project) -> None:
    dataset = read(project)
    explanation = explain_caption(project, dataset, "images/001.png")
    mouth = next(fate for fate in explanation.tags if fate.tag == "open_mouth")
    assert mouth == TagFate("open_mouth", "changed", RULES[0].id, RULES[0].why, "open mouth")
    assert explain_caption(project, dataset, "002.png").image == "3_my_chair/002.png"
    with pytest.raises(UsageError, match="no such image"):
        explain_caption(project, dataset, "nothing.png")


@pytest.mark.parametrize(
    ("trigger", "caption", "expected"),
    [
        ("zbk", "smile", "zbk, smile"),
        ("zbk", "smile, ZBK", "zbk, smile"),
        ("zbk", "photo of zbk, smile", "photo of zbk, smile"),
        ("zbk", "photo of zbks, smile", "zbk, photo of zbks, smile"),
        ("zbk, person focus", "smile, person_focus", "zbk, person focus, smile"),
        ("my chair", "", "my chair"),
    ],
)
def test_the_trigger_comes_first(tmp_path: Path, trigger: str, caption: str, expected: str) -> None:
    project = make_project(tmp_path, trigger=trigger)
    save_drawings(project.root / "images", 1, caption=caption)
    assert list(write_captions(project, read(project)).captions.values()) == [expected]


def test_wrong_settings_are_all_named(tmp_path: Path) -> None:
    project = make_project(tmp_path, "[tags]\nthreshold = 2\nundesird = 'x'\n")
    save_drawings(project.root / "images", 1)
    with pytest.raises(ProjectError) as caught:
        write_captions(project, read(project))
    assert "threshold = 2" in str(caught.value)
    assert 'Did you mean "undesired"' in str(caught.value)


def test_building_links_the_images_in_kohyas_form(project: Project) -> None:
    images = project.root / "images"
    draw(9).save(images / "moving.gif")
    draw(9).save(images / "000.JPG", "JPEG")
    dataset = read(project)
    before = {path: path.read_bytes() for path in images.rglob("*") if path.is_file()}
    folder = build_dataset(project, dataset, write_captions(project, dataset))
    made = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    assert made == [
        *("1_zbk/000-2.png", "1_zbk/000-2.txt", "1_zbk/000.jpg", "1_zbk/000.txt", "1_zbk/001.png", "1_zbk/001.txt"),
        *("1_zbk/003.png", "1_zbk/003.txt", "1_zbk/moving.png", "1_zbk/moving.txt"),
        *("3_my_chair/002.png", "3_my_chair/002.txt"),
    ]
    assert (folder / "3_my_chair/002.txt").read_text() == "zbk, my chair, drawing\n"
    assert (folder / "3_my_chair/002.png").resolve() == (images / "3_my_chair/002.png").resolve()
    assert not os.path.isabs(os.readlink(folder / "3_my_chair/002.png")), "the project can be moved"
    assert before == {path: path.read_bytes() for path in images.rglob("*") if path.is_file()}


def test_building_again_replaces_and_leaves_no_rest(project: Project) -> None:
    dataset = read(project)
    build_dataset(project, dataset, write_captions(project, dataset))
    (project.root / "images" / "000.png").unlink()
    fewer = read(project)
    folder = build_dataset(project, fewer, write_captions(project, fewer))
    assert not (folder / "1_zbk" / "000.png").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["dataset"]


def test_changes_are_seen_before_they_are_made(project: Project) -> None:
    dataset = read(project)
    captioning = write_captions(project, dataset)
    assert Change("3_my_chair/002.png", "my chair", "zbk, my chair, drawing") in compare_captions(
        project, dataset, captioning
    )
    build_dataset(project, dataset, captioning)
    assert compare_captions(project, dataset, captioning) == ()


def test_ten_thousand_captions(tmp_path: Path) -> None:
    project = make_project(tmp_path, TAGS)
    path = tmp_path / "x.png"
    items = tuple(
        Item(
            path,
            f"{n}.png",
            ImageFacts(path, 8, 8, "png", str(n)),
            ", ".join(f"tag {n * k % 997}" for k in range(20)),
            "",
            1,
        )
        for n in range(10_000)
    )
    captions = write_captions(project, Dataset(items, (), ())).captions
    assert len(captions) == 10_000
