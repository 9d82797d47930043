"""Every tag check with a dataset that passes and one that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from PIL import Image, ImageFilter

from lorasmith.dataset.lineage import Lineage
from lorasmith.dataset.reading import Dataset
from lorasmith.project import Project, open_project
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.review import CHECKS, RULE_IDS, Vocabulary, review_tags
from lorasmith.tags.scores import ScoredTag, StoredTags
from lorasmith.tags.store import store, store_tagger
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings

DOMAIN = tuple(f"T{number}" for number in range(1, 15))
BUNDLE = '[bundle.ann]\ntrigger = "{0}"\nfolders = ["ann"]\n[bundle.bob]\ntrigger = "{1}"\nfolders = ["bob"]\n'


@dataclass(frozen=True)
class Set:
    """A small project: its captions by image, the rest of its lora.toml, and what is done to it afterwards."""

    captions: Sequence[str]
    rest: str = ""
    subject: str = "character"
    trigger: str = "zbk"
    folders: Sequence[str] = ()
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    change: Callable[[Project], None] = lambda _: None
    made: Callable[[Dataset], Dataset] = lambda dataset: dataset


def findings(root: Path, what: Set, rule: str) -> list[tuple[str, str]]:
    """(level, message) of a rule's findings."""
    project = make_project(root, what.rest, subject=what.subject, trigger=what.trigger)
    for number, caption in enumerate(what.captions):
        folder = project.root / "images" / (what.folders[number] if what.folders else "")
        save_drawings(folder, 1, number, caption=caption)
    what.change(project)
    found = review_tags(open_project(root), what.made(read(project)), what.vocabulary)
    return [(finding.level, finding.message) for finding in found if finding.rule == rule]


def blur(project: Project) -> None:
    file = project.root / "images" / "000.png"
    with Image.open(file) as picture:
        blurred = picture.filter(ImageFilter.GaussianBlur(2))
    blurred.save(file)


def look(project: Project) -> None:
    """A tagger that knows smile, day and night, and sees only the smile."""
    known = (("smile", 0), ("day", 0), ("night", 0))
    store_tagger(project, "test", known)
    tags = (ScoredTag("smile", 0, 0.9), ScoredTag("day", 0, 0.001), ScoredTag("night", 0, 0.001))
    store(project, [StoredTags(item.facts.sha256, "test", tags) for item in read(project).items])


def from_one(dataset: Dataset) -> Dataset:
    """All but the first image are made from it."""
    first, *rest = dataset.items
    lineage = Lineage("crop", (first.facts.sha256,), {}, 0)
    return replace(dataset, items=(first, *(replace(item, lineage=lineage) for item in rest)))


FOUR = ["zbk, smile", "zbk, frown", "zbk, hat", "zbk"]
TOKENS = {"photo</w>": 500, "z": 1, "b": 2, "k</w>": 3, "zb": 900}
LONG = "a very long sentence that goes on " + "and on " * 40

CASES: Sequence[tuple[str, Set, Set, str, str]] = (
    ("T1", Set(FOUR), Set(["zbk, smile", "zbk", "zbl, hat"]), "warning", '"zbl" in 1 image is nearly the trigger'),
    ("T1", Set(["smile", "hat"]), Set(["zbk, smile", "zbk", "hat"]), "note", "lacks the trigger"),
    ("T1", Set(FOUR), Set(["smile"], '[tags]\noff = "trigger"\n'), "warning", "does not start with the trigger"),
    ("T2", Set(FOUR), Set(["day"], trigger="day"), "warning", "is a tag that the base knows"),
    (
        *("T2", Set(FOUR, vocabulary=Vocabulary(tags=["other"]))),
        *(Set(FOUR, vocabulary=Vocabulary(tags=["Z_B_K"]), trigger="z b k"), "warning", "is a tag that the base knows"),
    ),
    (
        *("T2", Set(FOUR, vocabulary=Vocabulary(TOKENS))),
        *(Set(["x"], trigger="photo", vocabulary=Vocabulary(TOKENS)), "warning", "one word that the base knows well"),
    ),
    (
        "T2",
        Set(FOUR, vocabulary=Vocabulary(TOKENS)),
        Set(["x"], trigger="zzbbbk", vocabulary=Vocabulary(TOKENS)),
        "note",
        "5 tokens long",
    ),
    (
        *("T2", Set(FOUR, vocabulary=Vocabulary(library={"abc": "Abc"}))),
        *(Set(FOUR, vocabulary=Vocabulary(library={"ZBK": "Zebra"})), "warning", "is also that of Zebra"),
    ),
    (
        *("T2", Set(["x"] * 2, BUNDLE.format("ann", "bob"), folders=["ann", "bob"])),
        *(Set(["x"] * 2, BUNDLE.format("ann", "ann lee"), folders=["ann", "bob"]), "warning", 'part of "ann lee"'),
    ),
    (
        *("T3", Set(FOUR, '[tags]\nprefix = "photo of NAME"\ncore = "auto"\n')),
        *(Set(FOUR, '[tags]\nprefix = "photo of"\n'), "warning", 'prefix = "photo of" does not contain the trigger'),
    ),
    (
        "T4",
        Set(FOUR * 2),
        Set(["zbk, blue eyes"] * 6),
        "note",
        "features of the subject stay in the captions: blue eyes",
    ),
    ("T4", Set(["zbk, blue eyes"] * 6, "[tags]\nfaithful = 0\n"), Set(["blue eyes"] * 6), "note", "blue eyes (100%)"),
    (
        *("T5", Set(FOUR, '[tags]\nundesired = "SMILE , Frown"\n')),
        *(Set(FOUR, '[tags]\nundesired = "smille"\n'), "warning", '"smille" matches no tag'),
    ),
    ("T5", Set(FOUR, '[tags]\nabsorb = "h*"\n'), Set(FOUR, '[tags]\nabsorb = "x*"\n'), "note", "in none of the images"),
    (
        *("T6", Set(["red hair"] * 3, '[tags]\nunify = "hair"\n')),
        *(Set(["red hair", "blue hair", "green hair"], '[tags]\nunify = "hair"\n'), "warning", "no hair tag is in 50%"),
    ),
    (
        *("T7", Set(FOUR, change=blur)),
        *(Set(["zbk, masterpiece", *FOUR], change=blur), "warning", "low quality praised as masterpiece"),
    ),
    (
        *("T7", Set(FOUR, '[tags]\nundesired = "smile"\n', change=blur)),
        *(Set(FOUR, '[tags]\nimages."*" = { remove = "*" }\n', change=blur), "warning", "does not say so"),
    ),
    (
        *("T8", Set(["red hair"] * 3, '[tags]\nabsorb = "* hair"\n')),
        *(Set(["red hair"] * 3 + ["blue hair"], '[tags]\nabsorb = "* hair"\n'), "warning", "blue hair (1 of 4)"),
    ),
    ("T9", Set(FOUR), Set(["zbk, day, night"]), "warning", "day with night: tags that exclude each other"),
    ("T9", Set(["smile"] * 2, change=look), Set(["smile, day"] * 2, change=look), "warning", '"day" in 2 images'),
    (
        *("T10", Set(["red hair", "blue hair"], BUNDLE.format("ann", "bob"), folders=["ann", "bob"])),
        *(Set(["red hair"] * 2, BUNDLE.format("ann", "bob"), folders=["ann", "bob"]), "warning", 'tag "red hair"'),
    ),
    ("T11", Set(["a", "b"], subject="style"), Set(["a", "zbk"], subject="style"), "warning", "without tags"),
    (
        "T11",
        Set(["a", "zbk"], '[tags]\ndescribe = "nothing"\n', "style"),
        Set(["", "b"], "", "style"),
        "warning",
        "1 image",
    ),
    ("T12", Set(["a man with a red hat sitting on a chair"]), Set([LONG]), "warning", "more than 55 words"),
    ("T12", Set(FOUR), Set(["a man with a red hat sitting on a chair", "zbk, hat"]), "note", "sentences in 1 image"),
    (
        *("T13", Set(FOUR, '[tags]\nimages."000.png" = { remove = "smile" }\n')),
        *(Set(FOUR, '[tags]\nimages."009.png" = { remove = "smile" }\n'), "warning", "means no image"),
    ),
    (
        *("T13", Set(FOUR, '[tags]\nimages."00?.png" = { add = "x" }\n')),
        *(Set(FOUR, '[tags]\nimages."000.png" = { remove = "hat" }\n'), "note", "removes hat, which is not among"),
    ),
    (
        *("T14", Set(["hat"] * 6, '[tags]\nbackground = "crossover"\n', made=from_one)),
        *(Set(["hat"] * 6, made=from_one), "warning", "share its background, and no tag names it"),
    ),
    ("T14", Set(["hat"] * 6), Set(["hat"] * 6, made=from_one), "warning", "6 images of one picture"),
    (
        *("P1", Set(FOUR, '[provenance]\nreal_person = true\nsource = "own"\nlicence = "own"\nconsent = "written"\n')),
        *(Set(FOUR, '[provenance]\nreal_person = true\nsource = "own"\n'), "warning", "without licence and consent"),
    ),
)


@pytest.mark.parametrize(
    ("rule", "passing", "failing", "level", "words"),
    CASES,
    ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)],
)
def test_checks(tmp_path: Path, rule: str, passing: Set, failing: Set, level: str, words: str) -> None:
    assert findings(tmp_path / "passing", passing, rule) == []
    found = findings(tmp_path / "failing", failing, rule)
    assert [said for said in found if said[0] == level and words in said[1]], found


def test_every_tag_rule_of_the_domain_is_checked_and_tested() -> None:
    assert set(DOMAIN) <= set(RULE_IDS)
    assert {case[0] for case in CASES} == set(RULE_IDS)
    assert len(set(RULE_IDS)) == len(RULE_IDS)
    assert all(check.title for check in CHECKS)


def test_a_clean_set_is_clean(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    for number, mood in enumerate(("smile", "frown", "open mouth", "grin")):
        save_drawings(project.root / "images", 1, number, caption=f"zbk, 1person, {mood}, red background")
    assert review_tags(project, read(project)) == ()


def test_scores_settle_what_captions_contradict(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 1, caption="zbk, smile, frown")
    item = read(project).items[0]
    store_tagger(project, "test", (("smile", 0), ("frown", 0)))
    store(project, [StoredTags(item.facts.sha256, "test", (ScoredTag("smile", 0, 0.9), ScoredTag("frown", 0, 0.1)))])
    assert review_tags(project, read(project)) == ()


def test_the_parts_of_a_collage_may_differ(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 1, caption="zbk, smile, frown, day, night")
    look(project)
    dataset = read(project)
    made = replace(dataset.items[0], lineage=Lineage("collage", ("0" * 64,)))
    assert {finding.rule for finding in review_tags(project, dataset)} == {"T9"}
    assert review_tags(project, replace(dataset, items=(made,))) == ()


@pytest.mark.parametrize(("tag", "place"), [("blue eyes", "balanced"), ("blonde hair", "faithful")])
def test_the_advice_names_the_place_on_the_dial_that_absorbs_it(tmp_path: Path, tag: str, place: str) -> None:
    project = make_project(tmp_path)
    for number in range(6):
        save_drawings(project.root / "images", 1, number, caption=f"zbk, {tag}")
    (finding,) = [each for each in review_tags(project, read(project), Vocabulary()) if each.rule == "T4"]
    assert f'faithful = "{place}"' in str(finding.advice)
    dialled = make_project(tmp_path, f'[tags]\nfaithful = "{place}"\n')
    dialled.file.write_text(f"{dialled.file.read_text('utf-8')}rare_images = 0\n", "utf-8")
    captions = write_captions(open_project(tmp_path), read(dialled)).captions
    assert set(captions.values()) == {"zbk"}
