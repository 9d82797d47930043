"""Files that nobody labelled, and newer versions of those that came from a hub."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lorasmith.errors import HubError
from lorasmith.events import finish
from lorasmith.library.entry import Filters
from lorasmith.library.hubs import labelling
from lorasmith.library.hubs.civitai import open_civitai
from lorasmith.library.hubs.installing import install
from lorasmith.library.hubs.labelling import Labelled, Labelling, label_files
from lorasmith.library.hubs.newer import Update, look_for_newer
from lorasmith.library.hubs.references import read_reference
from lorasmith.library.index import LibraryIndex
from tests.library.hubs.mock import COMMIT, OLDER_COMMIT, Hubs, adapter_bytes
from tests.refusal_words import refused_words


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "loras"
    place.mkdir()
    return place


def put(folder: Path, name: str, seed: int) -> bytes:
    data = adapter_bytes(seed)
    (folder / f"{name}.safetensors").write_bytes(data)
    return data


def label(options: Labelling | None = None, again: bool = False) -> Labelled:
    with LibraryIndex.open() as index, open_civitai() as hub:
        finish(index.scan(hashes=False))
        return finish(label_files(index, hub, options, again=again))


def open_with(folder: Path) -> LibraryIndex:
    index = LibraryIndex.open()
    index.add_folder(folder)
    return index


def test_files_are_labelled_and_their_triggers_known(hubs: Hubs, folder: Path) -> None:
    hubs.add_model(12, "Teal hair", hubs.version(34, put(folder, "a", 1)))
    put(folder, "b", 2)
    with open_with(folder) as index:
        told = label()
        assert [(path.name, version.reference) for path, version in told.found] == [("a.safetensors", "civitai:12@34")]
        assert (told.asked, told.unknown) == (2, 1)
        entry = index.entry(folder / "a.safetensors")
        assert entry is not None
        assert entry.hub is not None
        assert (entry.hub.model_id, entry.hub.name) == ("12", "Teal hair")
        assert entry.hub.page  # not in the sidecar that was read since
        assert time.time() - entry.hub.asked < 60
        assert entry.triggers == ("trg34",)
        assert [each.path.name for each in index.find("trg34")] == ["a.safetensors"]
    assert json.loads((folder / "a.json").read_text())["activation text"] == "trg34"
    assert not (folder / "b.json").exists()


def test_a_file_whose_header_was_edited_is_known_by_its_weights(hubs: Hubs, folder: Path) -> None:
    hubs.add_model(12, "Teal hair", hubs.version(34, adapter_bytes(1)))
    edited = adapter_bytes(1, metadata={"ss_training_comment": "mine"})
    assert edited != adapter_bytes(1)
    (folder / "a.safetensors").write_bytes(edited)
    put(folder, "own", 2)
    with open_with(folder) as index:
        told = label()
        assert [(path.name, version.reference) for path, version in told.found] == [("a.safetensors", "civitai:12@34")]
        assert (told.asked, told.unknown) == (2, 1)
        entry = index.entry(folder / "a.safetensors")
        assert entry is not None
        assert entry.hub is not None
        assert entry.hub.model_id == "12"


def test_many_that_are_unknown_are_not_asked_for_one_by_one(
    hubs: Hubs, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelling, "MOST_PAYLOADS", 1)
    put(folder, "a", 1)
    put(folder, "b", 2)
    with open_with(folder):
        assert (label().unknown, len(hubs.seen("/by-hash/"))) == (2, 0)
    (folder / "b.safetensors").unlink()
    with open_with(folder):
        assert (label(again=True).unknown, len(hubs.seen("/by-hash/"))) == (1, 1)


def test_what_a_user_has_written_beside_a_file_stays(hubs: Hubs, folder: Path) -> None:
    hubs.add_model(12, "Teal hair", hubs.version(34, put(folder, "a", 1)))
    (folder / "a.json").write_text(json.dumps({"activation text": "mine", "description": "", "own": [1]}))
    with open_with(folder):
        label()
    kept = json.loads((folder / "a.json").read_text())
    assert kept["activation text"] == "mine"
    assert kept["own"] == [1]
    assert kept["sd version"] == "SD 1.5"


def test_nothing_is_written_beside_when_not_wanted(hubs: Hubs, folder: Path) -> None:
    hubs.add_model(12, "Teal hair", hubs.version(34, put(folder, "a", 1)))
    with open_with(folder) as index:
        label(Labelling(sidecars=False))
        entry = index.entry(folder / "a.safetensors")
        assert entry is not None
        assert entry.hub is not None
    assert [file.name for file in folder.iterdir()] == ["a.safetensors"]


def test_batches_of_a_hundred_and_on_after_a_stop(hubs: Hubs, folder: Path) -> None:
    for number in range(230):
        data = put(folder, f"f{number:03d}", number)
        if number % 2:
            hubs.add_model(number, f"Model {number}", hubs.version(1000 + number, data))
    hubs.fail("/by-hash$", 500, skip=1)
    with open_with(folder) as index:
        with pytest.raises(HubError):
            label(Labelling(sidecars=False))
        done = sum(1 for entry in index.every(Filters()) if entry.hub is not None)
        assert done == 100
        hubs.log.clear()
        told = label(Labelling(sidecars=False))
        assert told.asked == 130
        assert len(hubs.seen("/by-hash$")) == 2
        known = [entry for entry in index.every(Filters()) if entry.hub is not None and entry.hub.source]
        assert len(known) == 115
        hubs.log.clear()
        assert label(Labelling(sidecars=False)).asked == 0
        assert hubs.log == []
        assert label(Labelling(sidecars=False), again=True).asked == 115


def test_what_is_refused_is_told_nothing_of(hubs: Hubs, folder: Path) -> None:
    minor, sexual = refused_words()
    hubs.add_model(12, f"{sexual} {minor}", hubs.version(34, put(folder, "a", 1)))
    with open_with(folder) as index:
        told = label()
        assert (told.refused, told.found) == (1, [])
        entry = index.entry(folder / "a.safetensors")
        assert entry is not None
        assert minor not in json.dumps(entry.as_json())
    assert not (folder / "a.json").exists()


def test_mature_ones_are_labelled_but_shown_to_those_who_ask(hubs: Hubs, folder: Path) -> None:
    hubs.add_model(12, "Grown up", hubs.version(34, put(folder, "a", 1)), nsfw=True)
    with open_with(folder) as index:
        told = label(Labelling(previews=True))
        assert (told.found, told.mature) == ([], 1)
        assert not (folder / "a.preview.png").exists()
        assert index.entries(Filters(mature=False)).total == 0
        entry = index.entry(folder / "a.safetensors")
        assert entry is not None
        assert entry.mature


def update(again: bool = False) -> Update:
    with LibraryIndex.open() as index:
        return finish(look_for_newer(index, again=again))


def get(reference: str, folder: Path) -> None:
    with LibraryIndex.open() as index:
        finish(install(index, read_reference(reference), folder))


def test_newer_versions_of_the_same_base_and_others(hubs: Hubs, folder: Path) -> None:
    first = hubs.version(10, adapter_bytes(1), publishedAt="2026-01-01T00:00:00Z")
    hubs.add_model(1, "One", first)
    hubs.add_model(2, "Two", hubs.version(20, adapter_bytes(2), publishedAt="2026-01-05T00:00:00Z"))
    hubs.add_model(3, "Three", hubs.version(30, adapter_bytes(3)))
    for number in (1, 2, 3):
        get(f"civitai:{number}", folder)
    assert update().asked == 0  # only just fetched
    second = hubs.version(11, adapter_bytes(11), publishedAt="2026-02-01T00:00:00Z")
    other = hubs.version(12, adapter_bytes(12), publishedAt="2026-03-01T00:00:00Z", baseModel="SDXL 1.0")
    hubs.add_model(1, "One", other, second, first)
    older = hubs.version(21, adapter_bytes(21), publishedAt="2025-01-01T00:00:00Z")
    hubs.add_model(2, "Two", older, hubs.version(20, adapter_bytes(2), publishedAt="2026-01-05T00:00:00Z"))
    del hubs.models[3]
    hubs.log.clear()
    told = update(again=True)
    assert len(hubs.log) == 1
    assert [(newer.version.reference, newer.same_base) for newer in told.newer] == [("civitai:1@11", True)]
    assert [facts.name for _, facts in told.gone] == ["Three"]
    with LibraryIndex.open() as index:
        entry = index.entry(folder / "file10.safetensors")
        assert entry is not None
        assert entry.hub is not None
        assert entry.hub.newer == "11"
    assert update().asked == 0


def test_a_repository_that_went_on(hubs: Hubs, folder: Path) -> None:
    hubs.add_repository("maker/a", {"a.safetensors": adapter_bytes(1)})
    hubs.add_repository("maker/b", {"b.safetensors": adapter_bytes(2)}, sha=OLDER_COMMIT)
    get("hf:maker/a", folder)
    get("hf:maker/b", folder)
    hubs.repositories["maker/a"]["sha"] = OLDER_COMMIT  # a new commit, the same file
    hubs.add_repository("maker/b", {"b.safetensors": adapter_bytes(3)})
    told = update(again=True)
    assert [newer.version.reference for newer in told.newer] == [f"hf:maker/b@{COMMIT}"]


def test_what_was_fetched_is_in_the_library(hubs: Hubs, folder: Path) -> None:
    hubs.add_model(12, "Teal hair", hubs.version(34, adapter_bytes(1), "teal.safetensors"))
    with open_with(folder) as index:
        installed = finish(install(index, read_reference("civitai:12"), None))
        assert installed.entry.family == "sd1"
        assert installed.entry.sha256 == installed.fetched.sha256
        assert installed.entry.preview == folder / "teal.preview.png"
        assert installed.entry.hub is not None
        assert installed.entry.hub.page == "https://civitai.com/models/12?modelVersionId=34"
        assert time.time() - installed.entry.hub.asked < 60
        assert [entry.name for entry in index.find(installed.fetched.sha256[:12])] == ["teal"]
        index.set_hub(installed.entry, replace(installed.entry.hub, asked=0.0))
    assert update().asked == 1
