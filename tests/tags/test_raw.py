"""Which source an image's tags come from, and that nothing which was said of it is hidden from the refusal."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import pytest

from lorasmith.dataset.reading import Dataset
from lorasmith.errors import DatasetError, ProjectError
from lorasmith.project import Project
from lorasmith.tags import raw as raw_module
from lorasmith.tags.imported import ImportedTags, store_imported
from lorasmith.tags.raw import RawTags, read_raw_tags
from lorasmith.tags.scores import ScoredTag, StoredTags
from lorasmith.tags.store import store, store_sentences
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings

WD = (
    ScoredTag("open_mouth", 0, 0.5),
    ScoredTag("blue_eyes", 0, 0.9),
    ScoredTag("faint", 0, 0.2),
    ScoredTag("somebody", 4, 0.7),
    ScoredTag("best quality", 10, 0.99),
    ScoredTag("sensitive", 9, 0.3),
    ScoredTag("general", 9, 0.6),
)
CL = (ScoredTag("hat", 0, 0.8), ScoredTag("explicit", 9, 0.9))


def raw_of(
    root: Path, settings: str = "", *, caption: str | None = None, folder: str = "", more: bool = True
) -> RawTags:
    """The raw tags of a single image; `more`: that two taggers saw, the second after the first."""
    project, dataset = one_image(root, settings, caption=caption, folder=folder)
    if more:
        sha256 = dataset.items[0].facts.sha256
        store(project, [StoredTags(sha256, "wd abc", WD)])
        store(project, [StoredTags(sha256, "cl def", CL)])
    (raw,) = read_raw_tags(project, dataset).values()
    return raw


def one_image(
    root: Path, settings: str = "", *, caption: str | None = None, folder: str = ""
) -> tuple[Project, Dataset]:
    project = make_project(root, f"[tags]\n{settings}\n")
    save_drawings(project.root / "images" / folder, 1, caption=caption)
    return project, read(project)


def test_a_caption_goes_first_and_the_scores_stand_beside(tmp_path: Path) -> None:
    raw = raw_of(tmp_path, caption="smile, Blue_Eyes")
    assert raw.tags == ("smile", "Blue_Eyes")
    assert raw.source == "caption"
    assert raw.scores == {"hat": 0.8, "explicit": 0.9}
    assert raw.categories == {"hat": 0, "explicit": 9}
    assert raw.sentence is None


def test_the_tagger_speaks_where_there_is_no_caption(tmp_path: Path) -> None:
    raw = raw_of(tmp_path, 'tagger = "wd"', caption="")
    assert raw.tags == ("blue_eyes", "open_mouth"), "from the thresholds on, no rating, no quality"
    assert raw.source == "tagger"
    assert raw.scores["faint"] == 0.2
    assert raw.categories["somebody"] == 4


@pytest.mark.parametrize(
    ("settings", "tags"),
    [
        ("threshold = 0.6", ("blue_eyes",)),
        ("threshold = 0.9", ("blue_eyes",)),
        ("character_threshold = 0.7", ("blue_eyes", "somebody", "open_mouth")),
        ("thresholds = {faint = 0.1, character = 0.5}", ("blue_eyes", "somebody", "open_mouth", "faint")),
        ('thresholds = {"Open Mouth" = 1.1}', ("blue_eyes",)),
    ],
)
def test_thresholds(tmp_path: Path, settings: str, tags: tuple[str, ...]) -> None:
    assert raw_of(tmp_path, f'tagger = "wd"\n{settings}').tags == tags


def test_the_tagger_used_last_speaks_unless_one_is_named(tmp_path: Path) -> None:
    assert raw_of(tmp_path / "last").tags == ("hat",)
    assert raw_of(tmp_path / "named", 'tagger = "WD abc"').tags == ("blue_eyes", "open_mouth")
    with pytest.raises(ProjectError, match=r"tagger = 'wdd': no tags of that name are stored\. Did you mean \"wd\"\?"):
        raw_of(tmp_path / "unknown", 'tagger = "wdd"')
    assert raw_of(tmp_path / "nothing", 'tagger = "wdd"', more=False).source == "none"


def test_source_tagger_and_both(tmp_path: Path) -> None:
    raw = raw_of(tmp_path / "tagger", 'source = "tagger"\ntagger = "wd"', caption="smile")
    assert (raw.tags, raw.source) == (("blue_eyes", "open_mouth"), "tagger")
    raw = raw_of(tmp_path / "both", 'source = "both"\ntagger = "wd"', caption="smile, Blue Eyes")
    assert (raw.tags, raw.source) == (("smile", "Blue Eyes", "open_mouth"), "both")
    raw = raw_of(tmp_path / "alone", 'source = "tagger"', caption="smile", more=False)
    assert (raw.tags, raw.source) == (("smile",), "caption")
    raw = raw_of(tmp_path / "only", 'source = "both"')
    assert (raw.tags, raw.source) == (("hat",), "tagger")


def test_the_folders_words_serve_those_that_have_nothing(tmp_path: Path) -> None:
    raw = raw_of(tmp_path / "words", folder="3_my_chair", more=False)
    assert (raw.tags, raw.source) == (("my chair",), "folder")
    raw = raw_of(tmp_path / "none", more=False)
    assert (raw.tags, raw.source, raw.scores, raw.ratings) == ((), "none", {}, ())


def test_nothing_that_was_said_is_hidden_from_the_refusal(tmp_path: Path) -> None:
    raw = raw_of(tmp_path, 'tagger = "wd"\nsource = "tagger"\nthreshold = 0.8', caption="smile, a hat")
    assert raw.tags == ("blue_eyes",)
    assert set(raw.ratings) == {
        *("rating:general", "rating:explicit"),
        *("open_mouth", "somebody", "hat", "best quality"),
        *("smile", "a hat"),
    }, "each tagger's likeliest rating, what the threshold leaves out, the other tagger's tags, the caption"


def test_imports_stand_behind_captions_and_before_taggers(tmp_path: Path) -> None:
    project, dataset = one_image(tmp_path)
    (item,) = dataset.items
    sha256 = item.facts.sha256
    store(project, [StoredTags(sha256, "wd abc", WD)])
    store_imported(project, [ImportedTags(sha256, "old list.json", "old", None)])
    store_imported(project, [ImportedTags(sha256, "new.csv", "new, tags", "A girl with a hat stands here.")])

    def raw(settings: str = "", caption: str | None = None) -> RawTags:
        changed = make_project(tmp_path, f"[tags]\n{settings}\n")
        return read_raw_tags(changed, replace(dataset, items=(replace(item, caption=caption),)))[item.name]

    assert raw().tags == ("new", "tags")
    assert raw().sentence == "A girl with a hat stands here."
    assert raw().source == "caption"
    assert raw(caption="own").tags == ("own",)
    assert raw(caption="own").sentence is None
    assert {"new", "old", "A girl with a hat stands here."} <= set(raw(caption="own").ratings)
    assert raw('source = "tagger"').tags == ("blue_eyes", "open_mouth")
    assert raw('source = "both"').tags == ("new", "tags", "blue_eyes", "open_mouth")
    assert raw('tagger = "old list"').tags == ("old",)
    named = raw('source = "tagger"\ntagger = "Old List.json"', "own")
    assert (named.tags, named.source) == (("old",), "caption")


def test_a_captioning_programs_sentence_stands_beside_the_tags(tmp_path: Path) -> None:
    project, dataset = one_image(tmp_path, caption="smile, hat")
    (item,) = dataset.items
    store_sentences(project, "prog", {item.facts.sha256: "A hat lies on a table."})
    (raw,) = read_raw_tags(project, dataset).values()
    assert (raw.tags, raw.sentence) == (("smile", "hat"), "A hat lies on a table.")
    written = replace(item, caption="photo of a woman with a hat in the rain")
    (raw,) = read_raw_tags(project, replace(dataset, items=(written,))).values()
    assert raw.tags == ("photo of a woman with a hat in the rain",)
    assert raw.sentence is None, "the caption is a sentence itself"
    bare = replace(item, caption=None, folder="5_words")
    (raw,) = read_raw_tags(project, replace(dataset, items=(bare,))).values()
    assert (raw.tags, raw.source, raw.sentence) == ((), "caption", "A hat lies on a table.")


def test_as_kohyas_trainer_reads(tmp_path: Path) -> None:
    project, dataset = one_image(tmp_path, caption="first, line\nsecond, line")
    (documented,) = read_raw_tags(project, dataset).values()
    assert documented.tags == ("first", "line", "second", "line")
    (kohyas,) = read_raw_tags(project, dataset, kohya_compat=True).values()
    assert kohyas.tags == ("first", "line")
    default = dataset.items[0].path.with_suffix(".caption")
    default.write_text("its default")
    (kohyas,) = read_raw_tags(project, dataset, kohya_compat=True).values()
    assert kohyas.tags == ("its default",)
    default.unlink()
    dataset.items[0].path.with_suffix(".txt").write_bytes(b"")
    with pytest.raises(DatasetError, match="trainer stops here"):
        read_raw_tags(project, dataset, kohya_compat=True)


def test_raw_tags_are_read_anew_only_where_they_changed(tmp_path: Path) -> None:
    """A page changes one rule after the other while it holds the same images."""
    project = make_project(tmp_path, "[tags]\nthreshold = 0.4\n")
    save_drawings(project.root / "images", 2)
    dataset = read(project)
    item = dataset.items[0]
    store(project, [StoredTags(item.facts.sha256, "test", (ScoredTag("hat", 0, 0.5),))])
    first = read_raw_tags(project, dataset)
    assert first[item.name].tags == ("hat",)
    absorbing = make_project(tmp_path, '[tags]\nthreshold = 0.4\nabsorb = "hat"\n')
    assert read_raw_tags(absorbing, dataset) is first
    assert read_raw_tags(project, replace(dataset)) is not first, "these may be other images"
    assert read_raw_tags(project, dataset, kohya_compat=True) is not first
    strict = make_project(tmp_path, "[tags]\nthreshold = 0.6\n")
    assert read_raw_tags(strict, dataset)[item.name].tags == ()
    assert read_raw_tags(project, dataset)[item.name].tags == ("hat",)
    store(project, [StoredTags(item.facts.sha256, "test", (ScoredTag("cap", 0, 0.5),))])
    assert read_raw_tags(project, dataset)[item.name].tags == ("cap",)
    store_imported(project, [ImportedTags(item.facts.sha256, "list.csv", "scarf", None)])
    assert read_raw_tags(project, dataset)[item.name].tags == ("scarf",)
    store_sentences(project, "program", {item.facts.sha256: "she waves"})
    assert read_raw_tags(project, dataset)[item.name].sentence == "she waves"


def test_raw_tags_are_forgotten_with_their_images(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 1)
    before = len(raw_module._kept)
    dataset = read(project)
    read_raw_tags(project, dataset)
    assert len(raw_module._kept) == before + 1
    del dataset
    gc.collect()
    assert len(raw_module._kept) == before
