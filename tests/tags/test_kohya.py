"""Captions and metadata as kohya's tagger writes them, oddities included; expected bytes written out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.dataset.decisions import Decision, record
from lorasmith.errors import DatasetError, RefusedError, UsageError
from lorasmith.project import Project
from lorasmith.tags.kohya import compute_as_kohya, write_metadata
from lorasmith.tags.scores import ScoredTag, StoredTags
from lorasmith.tags.store import store, store_tagger
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings
from tests.refusal_words import refused_words

VOCABULARY = (
    *(("general", 9), ("sensitive", 9)),
    *(("long_hair", 0), ("^_^", 0), ("||_||", 0), ("Smile", 0), ("b", 0), ("zbk", 0), ("hat", 0)),
    *(("anna_(ballad)", 4), ("berta", 4)),
)


def tagged(root: Path, settings: str = "", trigger: str = "zbk", **scores: float) -> Project:
    """One image that a tagger gave these scores; others get 0.5."""
    project = make_project(root, f"[tags]\n{settings}\n", trigger=trigger)
    save_drawings(project.root / "images", 1, caption="of no account")
    store_tagger(project, "wd abc", VOCABULARY)
    said = [ScoredTag(name, kind, scores.get(name, 0.5)) for name, kind in VOCABULARY]
    store(project, [StoredTags(read(project).items[0].facts.sha256, "wd abc", said)])
    return project


def caption(project: Project) -> str:
    (only,) = compute_as_kohya(project, read(project)).values()
    return only


@pytest.mark.parametrize(
    ("settings", "trigger", "expected"),
    [
        ("", "other", "long hair, ^_^, || ||, Smile, b, zbk, hat"),
        ("", "zbk", "zbk, long hair, ^_^, || ||, Smile, b, hat"),
        ("", "hat, zbk", "hat, long hair, ^_^, || ||, Smile, b, zbk"),
        ("", "hat,zbk", "zbk, hat, long hair, ^_^, || ||, Smile, b"),
        ('undesired = "long_hair, smile, hat"', "x", "long hair, ^_^, || ||, Smile, b, zbk"),
        ('undesired = "long hair, Smile"', "x", "^_^, || ||, b, zbk, hat"),
        ('aliases = {"long hair" = "hair, long"}', "x", "hair, long, ^_^, || ||, Smile, b, zbk, hat"),
        ('off = "underscores"', "x", "long_hair, ^_^, ||_||, Smile, b, zbk, hat"),
        ("character_threshold = 0.5", "x", "long hair, ^_^, || ||, Smile, b, zbk, hat, anna (ballad), berta"),
        ("threshold = 0.6\ncharacter_threshold = 1.1", "x", ""),
    ],
)
def test_captions(tmp_path: Path, settings: str, trigger: str, expected: str) -> None:
    assert caption(tagged(tmp_path, settings, trigger)) == expected


def test_the_order_is_that_of_the_list_and_not_of_the_scores(tmp_path: Path) -> None:
    assert caption(tagged(tmp_path, trigger="x", hat=0.99, b=0.36, Smile=0.34)) == "long hair, ^_^, || ||, b, zbk, hat"


def test_metadata_files(tmp_path: Path) -> None:
    project = tagged(tmp_path / "p", "threshold = 0.6", hat=0.9, b=0.7)
    dataset = read(project)
    file = dataset.items[0].path
    captions = compute_as_kohya(project, dataset)
    table = write_metadata(tmp_path / "meta.json", dataset, captions)
    assert table.read_text("utf-8") == (
        f'{{\n    "{file}": {{\n        "tags": "b, hat",\n        "image_size": [\n            64,\n            64\n'
        "        ]\n    }\n}"
    )
    lines = write_metadata(tmp_path / "meta.jsonl", dataset, captions)
    assert lines.read_text("utf-8") == f'{{"image_path": "{file}", "caption": "b, hat", "image_size": [64, 64]}}\n'
    with pytest.raises(UsageError, match="not a metadata file"):
        write_metadata(tmp_path / "meta.txt", dataset, captions)
    assert json.loads(table.read_text("utf-8"))


def test_an_image_that_no_tagger_has_seen(tmp_path: Path) -> None:
    project = tagged(tmp_path)
    save_drawings(project.root / "images", 1, first_seed=5)
    with pytest.raises(DatasetError, match="no tagger has seen it"):
        compute_as_kohya(project, read(project))


def test_the_refusal_holds_here_too(tmp_path: Path) -> None:
    project = tagged(tmp_path)
    item = read(project).items[0]
    item.path.with_suffix(".txt").write_text(", ".join(refused_words()), "utf-8")
    with pytest.raises(RefusedError):
        compute_as_kohya(project, read(project))


def test_of_a_crop_its_own_tags(tmp_path: Path) -> None:
    project = tagged(tmp_path, trigger="x")
    sha256 = read(project).items[0].facts.sha256
    record(project, [Decision(sha256, "crop", (0, 0, 40, 40))])
    cropped = read(project).items[0]
    store(project, [StoredTags(cropped.content, "wd abc", [ScoredTag("hat", 0, 0.9)])])
    assert caption(project) == "hat"
