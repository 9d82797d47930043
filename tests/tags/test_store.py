"""Raw tags are kept for every picture and tagger, to the score; a damaged store is begun anew."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from lorasmith.errors import StorageError
from lorasmith.project import Project
from lorasmith.tags.scores import ScoredTag, StoredTags
from lorasmith.tags.store import (
    FILE_NAME,
    is_called,
    read_scores,
    read_sentences,
    read_stored,
    read_vocabulary,
    store,
    store_sentences,
    store_tagger,
)
from tests.dataset.projects import make_project

TAGS = (ScoredTag("blue_eyes", 0, 0.9), ScoredTag("somebody", 4, 0.35), ScoredTag("general", 9, 0.0213))
ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def test_what_is_stored_is_read_again(project: Project) -> None:
    assert read_stored(project) == {}
    assert not project.cache.exists(), "nothing is made by looking"
    store(project, [StoredTags(ONE, "wd abc", TAGS[::-1]), StoredTags(TWO, "wd abc", ())])
    (tags,) = read_stored(project)[ONE]
    assert (tags.sha256, tags.tagger) == (ONE, "wd abc")
    assert tags.tags == TAGS, "the likeliest first, the scores as they were"
    assert len(tags.tags) == 3
    assert tags.tags[1].name == "somebody"
    (empty,) = read_stored(project)[TWO]
    assert empty.tags == ()


def test_every_tagger_keeps_its_own_and_the_last_used_speaks_first(project: Project) -> None:
    store(project, [StoredTags(ONE, "wd abc", TAGS)])
    store(project, [StoredTags(ONE, "cl def", TAGS[:1])])
    assert [tags.tagger for tags in read_stored(project)[ONE]] == ["cl def", "wd abc"]
    store_tagger(project, "wd abc", [("blue_eyes", 0), ("red_eyes", 0)])
    assert [tags.tagger for tags in read_stored(project)[ONE]] == ["wd abc", "cl def"]
    store(project, [StoredTags(ONE, "wd abc", TAGS[1:])])
    assert [len(tags.tags) for tags in read_stored(project)[ONE]] == [2, 1], "replaced, the other left"


def test_the_same_name_in_two_categories(project: Project) -> None:
    tags = (ScoredTag("rose", 0, 0.8), ScoredTag("rose", 4, 0.7))
    store(project, [StoredTags(ONE, "wd abc", tags)])
    assert read_stored(project)[ONE][0].tags == tags


def test_a_table_sifts_all_rows_at_once(project: Project) -> None:
    store(project, [StoredTags(ONE, "wd abc", TAGS), StoredTags(TWO, "wd abc", TAGS[1:])])
    table = read_scores(project)
    names = dict(zip((sha256 for sha256, _ in table.rows), table.sift(table.scores >= 0.35), strict=True))
    assert names == {ONE: ("blue_eyes", "somebody"), TWO: ("somebody",)}
    assert table.scored(table.of[TWO][0]) == {"somebody": 0.35, "general": 0.0213}
    assert table.kinds() == {"wd abc": {"blue_eyes": 0, "somebody": 4, "general": 9}}
    assert read_scores(make_project(project.root / "other")).sift(np.zeros(0, bool)) == []


def test_vocabulary_of_the_last_tagger_or_a_named_one(project: Project) -> None:
    assert read_vocabulary(project) == {}
    store_tagger(project, "owner/wd abc", [("blue_eyes", 0), ("somebody", 4)])
    store_tagger(project, "cl def", [("hat", 0)])
    assert read_vocabulary(project) == {"hat": 0}
    assert read_vocabulary(project, "wd") == {"blue_eyes": 0, "somebody": 4}
    assert read_vocabulary(project, "nobody") == {}


@pytest.mark.parametrize("name", ["Owner/WD-v3 abc", "owner/wd-v3", "wd-V3"])
def test_names_of_a_tagger(name: str) -> None:
    assert is_called("owner/wd-v3 abc", name)
    assert not is_called("owner/wd-v3 abc", name + "x")
    assert is_called("test", "test")


def test_sentences_of_the_last_command_or_a_named_one(project: Project) -> None:
    assert read_sentences(project) == {}
    store_sentences(project, "one", {ONE: "A hat.", TWO: "A cat."})
    store_sentences(project, "two", {ONE: "A red hat."})
    assert read_sentences(project) == {ONE: "A red hat.", TWO: "A cat."}
    assert read_sentences(project, "one") == {ONE: "A hat.", TWO: "A cat."}
    store_sentences(project, "one", {})
    assert read_sentences(project) == {ONE: "A hat.", TWO: "A cat."}, "used last"


@pytest.mark.parametrize("rubbish", [b"no database at all, but long enough to look at" * 100, b"x"])
def test_a_damaged_file_counts_as_nothing_and_is_begun_anew(project: Project, rubbish: bytes) -> None:
    project.cache.mkdir()
    (project.cache / FILE_NAME).write_bytes(rubbish)
    assert read_stored(project) == {}
    assert read_vocabulary(project) == {}
    assert read_sentences(project) == {}
    store(project, [StoredTags(ONE, "wd abc", TAGS)])
    assert read_stored(project)[ONE][0].tags == TAGS


def test_a_file_damaged_in_its_middle_is_begun_anew(project: Project) -> None:
    store(project, [StoredTags(f"{number:064}", "wd abc", TAGS) for number in range(2000)])
    file = project.cache / FILE_NAME
    whole = bytearray(file.read_bytes())
    whole[8192 : len(whole) - 4096] = os.urandom(len(whole) - 12288)
    file.write_bytes(whole)
    read_stored(project)
    store(project, [StoredTags(ONE, "wd abc", TAGS)])
    assert read_stored(project)[ONE][0].tags == TAGS


def test_an_empty_file_and_another_version(project: Project) -> None:
    project.cache.mkdir()
    file = project.cache / FILE_NAME
    file.touch()
    assert read_stored(project) == {}
    store(project, [StoredTags(ONE, "wd abc", TAGS)])
    with sqlite3.connect(file) as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    assert read_stored(project) == {}
    store(project, [StoredTags(TWO, "wd abc", TAGS)])
    assert list(read_stored(project)) == [TWO]


@pytest.mark.parametrize(
    ("words", "scores"),
    [
        (b"abc", b"abc"),
        (b"\x01\0\0\0", b""),
        (b"\xff\xff\xff\x7f", b"\0\0\0\0"),
        (b"\x01\0\0\0", b"\0\0\xc0\x7f"),
        ("text", "text"),
        (5, 5),
    ],
    ids=["length", "uneven", "number", "nan", "text", "integer"],
)
def test_a_damaged_row_counts_as_not_tagged(project: Project, words: object, scores: object) -> None:
    store(project, [StoredTags(ONE, "wd abc", TAGS), StoredTags(TWO, "wd abc", TAGS)])
    with sqlite3.connect(project.cache / FILE_NAME) as connection:
        connection.execute("update scored set words = ?, scores = ? where sha256 = ?", (words, scores, ONE))
    connection.close()
    stored = read_stored(project)
    assert list(stored) == [TWO]
    assert stored[TWO][0].tags == TAGS


def test_a_place_that_cannot_be_written_is_one_clear_error(project: Project) -> None:
    project.cache.write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="the tags cannot be written"):
        store(project, [StoredTags(ONE, "wd abc", TAGS)])


def test_a_store_that_fails_halfway_keeps_nothing_of_it(project: Project) -> None:
    store(project, [StoredTags(ONE, "wd abc", TAGS)])

    def broken() -> list[StoredTags]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store(project, (tags for part in ([StoredTags(TWO, "wd abc", TAGS)], None) for tags in part or broken()))
    assert list(read_stored(project)) == [ONE]
