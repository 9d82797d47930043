"""Captions computed from raw tags; what each rule did; what would change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, ImageFilter

from lorasmith.errors import ProjectError, UsageError
from lorasmith.events import finish
from lorasmith.project import Project
from lorasmith.tags.building import Change, build_dataset, compare_captions
from lorasmith.tags.explanation import explain_caption
from lorasmith.tags.imported import ImportedTags, store_imported
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.rules import RULES
from lorasmith.tags.scores import ScoredTag, StoredTags
from lorasmith.tags.store import store
from lorasmith.tags.words import split_tags
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings

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
    assert {effect.name: effect.changed for effect in captioning.rules if effect.changed} == {
        "thresholds": 1,
        "underscores": 1,
        "duplicates": 1,
        "undesired": 1,
        "absorb": 2,
        "add": 4,
        "trigger": 4,
    }
    assert [effect.name for effect in captioning.rules] == [rule.name for rule in RULES]
    document = json.loads(json.dumps(captioning.as_json()))
    assert set(document) == {"captions", "rules"}
    assert document["rules"][0] == {"name": "thresholds", "changed": 1}


def test_explaining_tells_the_fate_of_every_tag(project: Project) -> None:
    explanation = explain_caption(project, read(project), "000.png")
    assert [(fate.tag, fate.fate, fate.rule) for fate in explanation.tags] == [
        ("1girl", "kept", ""),
        ("Blonde_Hair", "dropped", "T4"),
        ("smile", "kept", ""),
        ("b", "dropped", "T5"),
        ("zbk", "moved", "T1"),
        ("watermark", "dropped", "T5"),
        ("1girl", "dropped", "T9"),
        ("drawing", "added", "T13"),
    ]
    assert explanation.caption == "zbk, 1girl, smile, drawing"


def test_explaining_a_new_spelling_and_finding_by_the_end_of_a_path(project: Project) -> None:
    dataset = read(project)
    explanation = explain_caption(project, dataset, "images/001.png")
    fates = {fate.tag: fate for fate in explanation.tags}
    mouth = fates["open_mouth"]
    assert (mouth.fate, mouth.rule, mouth.became) == ("changed", "T9", "open mouth")
    assert fates["unlikely"].why == "its score 0.20 is under 0.35"
    assert fates["somebody"].why == "its score 0.70 is under 0.85"
    assert [step.rule for step in fates["blue_eyes"].steps] == ["underscores", "absorb"]
    assert "general" not in fates, "ratings are no tags"
    assert json.loads(json.dumps(explanation.as_json()))["tags"][0]["steps"][0]["rule"] == "underscores"
    assert explain_caption(project, dataset, "002.png").image == "3_my_chair/002.png"
    with pytest.raises(UsageError, match="no such image"):
        explain_caption(project, dataset, "nothing.png")


def test_explanations_end_in_the_captions(project: Project) -> None:
    dataset = read(project)
    captions = write_captions(project, dataset).captions
    for name, caption in captions.items():
        explanation = explain_caption(project, dataset, name)
        assert explanation.caption == caption
        left = [fate.became or fate.tag for fate in explanation.tags if fate.fate != "dropped"]
        assert sorted(left) == sorted(split_tags(caption))


def test_rules_can_be_switched_off_and_put_in_another_order(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[tags]\noff = "trigger, duplicates"\nadd = "hat"\nabsorb = "hat"\n')
    save_drawings(project.root / "images", 1, caption="smile, smile")
    assert list(write_captions(project, read(project)).captions.values()) == ["smile, smile, hat"]
    project = make_project(tmp_path, '[tags]\norder = ["add", "absorb"]\nadd = "hat"\nabsorb = "hat"\n')
    assert list(write_captions(project, read(project)).captions.values()) == ["zbk, smile"]


@pytest.mark.parametrize("key", ["off", "order"])
def test_rules_that_are_not_there_are_named(tmp_path: Path, key: str) -> None:
    project = make_project(tmp_path, f'[tags]\n{key} = "triger"\n')
    save_drawings(project.root / "images", 1)
    with pytest.raises(ProjectError, match=rf'\[tags\]: {key}: triger: no such rule. Did you mean "trigger"'):
        write_captions(project, read(project))


def test_each_member_of_a_bundle_has_its_own_trigger_and_features(tmp_path: Path) -> None:
    bundle = '[bundle.ann]\ntrigger = "ann"\nfolders = ["ann"]\n[bundle.bob]\ntrigger = "bob"\nfolders = ["bob"]\n'
    project = make_project(tmp_path, f'{bundle}[tags]\nunify = "hair"\n')
    save_drawings(project.root / "images" / "ann", 2, 0, caption="red hair, smile")
    save_drawings(project.root / "images" / "bob", 2, 2, caption="black hair, smile")
    assert list(write_captions(project, read(project)).captions.values()) == [
        *["ann, red_ann_hair, smile"] * 2,
        *["bob, black_bob_hair, smile"] * 2,
    ]


def test_low_quality_is_measured_from_the_pictures(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    images = project.root / "images"
    names = [file.name for file in save_drawings(images, 4, caption="smile")]
    with Image.open(images / names[1]) as picture:
        picture.filter(ImageFilter.GaussianBlur(2)).save(images / names[1])
    with Image.open(images / names[2]) as picture:
        picture.resize((30, 30)).save(images / names[2])
    captions = write_captions(project, read(project)).captions
    poor = "zbk, smile, low quality, blurry, worst quality"
    assert list(captions.values()) == ["zbk, smile", poor, poor, "zbk, smile"]
    assert explain_caption(project, read(project), names[2]).tags[1].why.startswith("small: 30 pixels")


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


def test_changes_are_seen_before_they_are_made(project: Project) -> None:
    dataset = read(project)
    captioning = write_captions(project, dataset)
    assert Change("3_my_chair/002.png", "my chair", "zbk, my chair, drawing") in compare_captions(
        project, dataset, captioning
    )
    finish(build_dataset(project, dataset, captioning))
    assert compare_captions(project, dataset, captioning) == ()


def test_likely_tags_pass_the_thresholds_however_many_the_tagger_knows(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 2)
    sure, unsure = (item.facts.sha256 for item in read(project).items)
    rating = ScoredTag("general", 9, 0.1)
    store(
        project,
        [
            StoredTags(sure, "test", (ScoredTag("smile", 0, 0.9), rating)),
            StoredTags(unsure, "test", (ScoredTag("hat", 0, 0.9), ScoredTag("cap", 0, 0.1), rating)),
        ],
    )
    captioning = write_captions(project, read(project))
    assert {effect.name: effect.changed for effect in captioning.rules}["thresholds"] == 1
    assert list(captioning.captions.values()) == ["zbk, smile", "zbk, hat"]


def test_explaining_names_the_import_that_tags_came_from(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 1, 0, caption="smile")
    save_drawings(project.root / "images", 1, 1)
    items = read(project).items
    store_imported(project, [ImportedTags(item.facts.sha256, "old.json", "hat, red hat", None) for item in items])
    own, imported = (explain_caption(project, read(project), item.name) for item in items)
    assert (own.source, own.imported, own.as_json()["imported"]) == ("caption", "", None)
    assert (imported.source, imported.imported) == ("caption", "old.json")
    assert imported.as_json()["imported"] == "old.json"
    assert imported.caption == "zbk, red hat"
