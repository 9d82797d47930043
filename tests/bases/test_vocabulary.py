"""What a base knows by itself, for triggers that must be new to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.bases import vocabulary
from lorasmith.bases.vocabulary import read_tags, read_tokens, read_vocabulary
from lorasmith.errors import BaseError
from lorasmith.project import open_project
from lorasmith.tags.knowledge import is_common
from lorasmith.tags.review import review_tags
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings

TOKENS = {"a": 0, "b</w>": 1, "ab</w>": 2}


def save_tokens(folder: Path, text: str) -> Path:
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer" / "vocab.json").write_text(text, "utf-8")
    return folder


def test_the_tags_of_the_embedded_world() -> None:
    tags = read_tags()
    assert {"portrait", "close-up", "1person"} <= tags
    assert any(tag.endswith(" hair") for tag in tags)


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "b"}', "[" * 100_000])
def test_a_vocabulary_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    assert read_tokens(save_tokens(tmp_path, text)) == {}
    assert read_tokens(tmp_path / "nothing") == {}


def test_a_vocabulary_in_one_file_with_the_rest_of_the_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text(json.dumps({"model": {"vocab": TOKENS}}), "utf-8")
    assert read_tokens(tmp_path) == TOKENS


def test_the_embedded_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tokens(tmp_path / "weights", json.dumps(TOKENS))
    monkeypatch.setattr(vocabulary, "doodle_folder", lambda: folder)
    known = read_vocabulary(make_project(tmp_path / "project"))
    assert (known.tokens, known.tags) == (TOKENS, read_tags())


def test_an_embedded_base_without_weights_still_has_its_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise BaseError("missing")

    monkeypatch.setattr(vocabulary, "doodle_folder", missing)
    known = read_vocabulary(make_project(tmp_path))
    assert (known.tokens, known.tags) == ({}, read_tags())


def test_a_base_folder_has_words_and_no_world(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save_tokens(project.root / "base", json.dumps(TOKENS))
    project.file.write_text(project.file.read_text("utf-8") + 'base = "base"\n', "utf-8")
    known = read_vocabulary(open_project(project.root))
    assert (known.tokens, set(known.tags)) == (TOKENS, set())


def test_a_trigger_out_of_the_world_is_found(tmp_path: Path) -> None:
    trigger = min(tag for tag in read_tags() if not is_common(tag))
    project = make_project(tmp_path, trigger=trigger)
    save_drawings(project.root / "images", 1, caption="smile")
    messages = [finding.message for finding in review_tags(project, read(project), read_vocabulary(project))]
    assert f'the trigger "{trigger}" is a tag that the base knows already.' in messages
    assert not any("knows already" in finding.message for finding in review_tags(project, read(project)))
