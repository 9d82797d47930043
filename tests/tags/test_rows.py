"""All images at once, and one after the other: the same captions, whatever the rules and the tags are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from lorasmith.dataset.reading import Dataset, Item
from lorasmith.images.opening import ImageFacts
from lorasmith.project import Project, make_project
from lorasmith.tags.explanation import explain
from lorasmith.tags.inputs import CaptionInputs, read_inputs
from lorasmith.tags.pipeline import compute_captions
from lorasmith.tags.rows import TagNumbers, TagRows, common, distinct
from lorasmith.tags.rules import RULES
from lorasmith.tags.scores import ScoredTag, StoredTags
from lorasmith.tags.store import store, store_sentences, store_tagger
from lorasmith.tags.words import join_tags, split_tags

WORDS = split_tags(
    "zbk, ZBK, 1girl, 1 girl, 2girls, solo, Blonde_Hair, blonde hair, long hair, red hair, blue_eyes, red eyes, "
    "smile, Smile, frown, red shirt, shirt, dark red shirt, day, night, indoors, outdoors, watermark, open_mouth, "
    "closed mouth, ^_^, a_b_c, photo of zbk, low quality, hat, anime screencap, portrait, full body, grin, "
    "blonde_zbk_hair, wooden chair, katana, sword, weapon, scar, glasses, monochrome, (smile:1.2), blue eyes"
)
LISTS = ("watermark, *b_c", "* hair", "hat, Hat, cap", "smile", "Smile, zbk", "Drawing, 1girl", "*")
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "source": ("caption", "tagger", "both"),
    "threshold": (0.1, 0.35, 0.8),
    "thresholds": ({}, {"day": 0.9, "general": 0.2, "character": 0.5}),
    "sure": (0.6, 0.0, 1.0),
    "doubt": (0.0, 0.1, 0.4),
    "aliases": ({}, {"grin": "big smile", "smile": "red_hair", "red shirt": "red_shirt"}),
    "undesired": LISTS,
    "absorb": LISTS,
    "keep": LISTS,
    "faithful": (0.0, 0.25, 0.5, 1.0),
    "rare_images": (0, 3, 15),
    "consistent": (0.1, 0.3, 0.5),
    "fused": (0.0, 0.2, 0.4),
    "unify": ("hair", "hair, eyes"),
    "small": (0.5, 0.9),
    "style": ("anime screencap", "smile, hat"),
    "background": LISTS,
    "add": LISTS,
    "images": (
        {"*.png": {"add": ["hat", "cap"], "remove": "*smile*"}},
        {"7.png": {"add": "seven"}, "a/1*.png": {"remove": "*"}, "a/17.png": {"add": ["seven", "smile"]}},
    ),
    "describe": ("everything", "nothing"),
    "sentence": ("before", "after", "instead", "none"),
    "arrange": ("kept", "score", "groups", "name"),
    "core": ("", "auto", "NAME (person)"),
    "prefix": ("", "photo of NAME", "NAME, smile"),
}


def draw_settings(random: Random) -> dict[str, Any]:
    settings = {key: random.choice(choices) for key, choices in CHOICES.items() if random.random() < 0.5}
    if random.random() < 0.3:
        names = [rule.name for rule in RULES]
        settings["order"] = random.sample(names, random.randrange(2, len(names)))
    if random.random() < 0.3:
        settings["off"] = random.sample([rule.name for rule in RULES], 3)
    return settings


def draw_project(root: Path, random: Random) -> tuple[Project, Dataset]:
    """Images with captions, a tagger's tags, both or none; some have a sentence. No file is there."""
    lora = {"name": "z", "subject": random.choice(("character", "asset", "style")), "trigger": "zbk"}
    tables: dict[str, Any] = {"lora": lora, "tags": draw_settings(random)}
    if random.random() < 0.3:
        members = {name: {"trigger": name, "folders": [name]} for name in ("ann", "bob")}
        lora["subject"], tables["bundle"] = "character", members
    project = make_project(root, tables)
    items = []
    for number in range(random.choice((1, 2, 40, 60))):
        tags = [random.choice(WORDS) for _ in range(random.randrange(12))]
        caption = random.choice(
            (None, "", join_tags(tags), join_tags([random.choice(("zbk", "zbk", "zbk", "zbl")), *tags]))
        )
        folder = random.choice(("a", "")) if not project.bundle else random.choice(("ann", "bob"))
        name = f"{folder}/{number}.png".lstrip("/")
        side = random.choice((100, 512))
        item = Item(root / name, name, ImageFacts(root / name, side, side, "png", f"{number:064}"), caption, folder, 1)
        items.append(replace(item, member=folder if project.bundle else None))
    tagged = [item for item in items if random.random() < 0.6]
    tagger = random.choice(("doodle 0f", "other 0f"))
    store_tagger(project, tagger, [(word.replace(" ", "_"), 0) for word in WORDS[:30]])
    store(project, [StoredTags(item.content, tagger, draw_tags(random)) for item in tagged])
    told = random.choice(("a woman with blonde hair, smile", "she sits on a chair in the sun and looks away"))
    store_sentences(project, "program", {item.content: told for item in items if random.random() < 0.3})
    return project, Dataset(tuple(items), (), ())


def draw_tags(random: Random) -> tuple[ScoredTag, ...]:
    names = dict.fromkeys(name.replace(" ", "_") for name in random.sample(WORDS, random.randrange(15)))
    return tuple(ScoredTag(name, 4 if len(name) % 4 == 0 else 0, random.random()) for name in names)


def one_by_one(inputs: CaptionInputs) -> tuple[dict[str, str], dict[str, int]]:
    """What every rule says of every image: captions, and how many each rule changed."""
    captions, changed = {}, dict.fromkeys((rule.name for rule in inputs.rules), 0)
    for item in inputs.dataset.items:
        tags = inputs.start(item)
        for rule in inputs.rules:
            work = rule.prepare(inputs.scene(item))
            result = work(tags, inputs.view(item)) if work is not None else None
            if result is not None and result.tags != tags:
                changed[rule.name] += 1
                tags = result.tags
        captions[item.name] = join_tags(tags)
    return captions, changed


def find_small(dataset: Dataset) -> Mapping[str, str]:
    return {item.name: "small" for item in dataset.items if item.size[0] < 200}


def test_all_images_at_once_are_as_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorasmith.tags.inputs.find_poor", lambda _, dataset, __: find_small(dataset))
    busy: set[str] = set()
    for seed in range(60):
        project, dataset = draw_project(tmp_path / str(seed), Random(seed))
        inputs = read_inputs(project, dataset)
        captioning = compute_captions(inputs)
        captions, changed = one_by_one(read_inputs(project, dataset))
        assert captioning.captions == captions, seed
        assert list(captioning.captions) == [item.name for item in dataset.items]
        assert {rule.name: rule.changed for rule in captioning.rules} == changed, seed
        for item in dataset.items[:3]:
            assert explain(inputs, item.name).caption == captions[item.name]
        busy |= {rule.name for rule in captioning.rules if rule.changed}
    assert busy == {rule.name for rule in RULES} - {"rare"}, "every rule had something to do; what is rare is kept"


def test_rows() -> None:
    rows = TagRows.of(TagNumbers(), (("a", "b", "A"), (), ("b",), ("c", "a", "c")))
    assert rows.all_tags() == [["a", "b", "A"], [], ["b"], ["c", "a", "c"]]
    assert rows.count_keys() == {"a": 2, "b": 2, "c": 1}
    assert rows.taken(np.array([3, 1, 0])).all_tags() == [["c", "a", "c"], [], ["a", "b", "A"]]
    assert rows.repeating(rows.keys).tolist() == [True, False, False, True]
    assert rows.replaced({1: ("x", "a"), 0: ()}).all_tags() == [[], ["x", "a"], ["b"], ["c", "a", "c"]]
    assert rows.joined(("x", "y"), np.array([True, True, False, False])).all_tags()[:2] == [
        ["x", "y", "a", "b", "A"],
        ["x", "y"],
    ]
    assert rows.appended(("x",), np.array([False, True, False, True])).all_tags()[1:] == [["x"], ["b"], [*"cacx"]]
    assert rows.count_differing(rows.kept(~rows.find_keys(("a",)))) == 2
    none = TagRows.of(TagNumbers(), ())
    assert (len(none), none.all_tags(), none.count_keys(), none.repeating(none.keys).tolist()) == (0, [], {}, [])
    assert distinct(np.array([3, 1, 3])).tolist() == [1, 3]
    assert common(np.array([3, 1, 3]), np.array([3, 5])).tolist() == [3]
