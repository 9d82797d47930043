"""Adapters in a store: found, fetched, checked by their hashes, kept up to a number of bytes."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import load_adapter, save_adapter
from lorasmith.adapters.header import addnet_hash
from lorasmith.adapters.stored import store as store_module
from lorasmith.adapters.stored.files import FileCache, open_file_cache
from lorasmith.adapters.stored.lookup import StoredCatalogue
from lorasmith.adapters.stored.manifest import FILE_NAME, write_manifest
from lorasmith.adapters.stored.source import StoredAdapters
from lorasmith.adapters.stored.store import AdapterStore
from lorasmith.bases.base import Base
from lorasmith.errors import PromptError, StorageError
from lorasmith.library.lookup import LibraryLookup
from tests.adapters.drawing import trained_adapter

URL = "memory://adapters"


@pytest.fixture
def tiny_adapter(tiny_base: Base) -> Adapter:
    return trained_adapter(tiny_base, rank=4, alpha=4.0)


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()


def put(files: fsspec.AbstractFileSystem, name: str, data: bytes) -> None:
    files.pipe_file(f"/adapters/{name}.safetensors", data)


def put_manifest(files: fsspec.AbstractFileSystem, **adapters: bytes) -> None:
    listed = [
        {"name": name, "file": f"{name}.safetensors", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in adapters.items()
    ]
    files.pipe_file(f"/adapters/{FILE_NAME}", json.dumps({"version": 1, "adapters": listed}).encode())


def fetched(cache: FileCache, name: str, store: AdapterStore | None = None) -> bytes:
    store = AdapterStore(URL) if store is None else store
    stored = store.find(name)
    assert stored is not None
    return cache.get(store, stored).read_bytes()


def test_without_a_manifest_a_name_is_a_file(memory: fsspec.AbstractFileSystem) -> None:
    put(memory, "zbk", b"12345")
    put(memory, "sub/hat", b"123")
    store = AdapterStore(URL)
    found = store.find("zbk")
    assert found is not None
    assert (found.name, found.file, found.bytes, found.sha256) == ("zbk", "zbk.safetensors", 5, None)
    assert store.find("hat") is None
    assert store.find("sub/hat") is not None
    for outside in ("../zbk", "/zbk", "", "a/../../zbk"):
        assert store.find(outside) is None
    assert [each.name for each in store.entries()] == ["sub/hat", "zbk"]


def test_what_a_store_said_is_believed_for_a_while(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = AdapterStore(URL)
    assert store.find("late") is None
    put(memory, "late", b"1")
    assert store.find("late") is None
    monkeypatch.setattr(store_module, "MISSED_FOR", 0.0)
    assert store.find("late") is not None
    memory.rm_file("/adapters/late.safetensors")
    assert store.find("late") is not None
    monkeypatch.setattr(store_module, "LOOKED_AT_EVERY", 0.0)
    assert store.find("late") is None


def test_a_manifest_names_all(memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    put(memory, "zbk", b"12345")
    put(memory, "unnamed", b"1")
    put_manifest(memory, zbk=b"12345")
    store = AdapterStore(URL)
    assert [each.name for each in store.entries()] == ["zbk"]
    assert store.find("unnamed") is None
    assert store.near("zbx") == ["zbk"]
    monkeypatch.setattr(store_module, "LOOKED_AT_EVERY", 0.0)
    put_manifest(memory, zbk=b"12345", unnamed=b"1")
    assert store.find("unnamed") is not None


def test_a_manifest_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "zbk.safetensors").write_bytes(b"12345")
    write_manifest(tmp_path)
    store = AdapterStore(f"file://{tmp_path}")
    assert fetched(FileCache(tmp_path / "kept", 100), "sub/zbk", store) == b"12345"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{", "is no manifest of adapters: Expecting property name"),
        ("[]", "is no manifest of adapters: list indices"),
        ('{"adapters": [{"name": "a"}]}', "is no manifest of adapters: 'bytes'"),
        (
            '{"adapters": [{"name": "a", "file": "../a", "bytes": 1}]}',
            r'adapter 0: file "\.\./a" lies outside of the store\.',
        ),
    ],
)
def test_a_broken_manifest_is_one_sentence(memory: fsspec.AbstractFileSystem, text: str, wrong: str) -> None:
    memory.pipe_file(f"/adapters/{FILE_NAME}", text.encode())
    with pytest.raises(StorageError, match=f"^memory://adapters/adapters.json: {wrong}"):
        AdapterStore(URL).find("a")


def test_a_file_is_fetched_once_and_used_after_a_restart(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    put(memory, "zbk", b"12345")
    cache = FileCache(tmp_path, 100)
    assert fetched(cache, "zbk") == fetched(cache, "zbk") == b"12345"
    assert (cache.counts.misses, cache.counts.hits, cache.counts.fetched, cache.bytes) == (1, 1, 5, 5)
    again = FileCache(tmp_path, 100)
    assert fetched(again, "zbk") == b"12345"
    assert (again.counts.misses, again.counts.hits, again.bytes) == (0, 1, 5)


def test_a_file_that_was_spoiled_on_disk_is_fetched_again(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    put(memory, "zbk", b"12345")
    cache = FileCache(tmp_path, 100)
    fetched(cache, "zbk")
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"1234x")
    assert fetched(cache, "zbk") == b"12345"
    file.unlink()
    assert fetched(cache, "zbk") == b"12345"
    assert cache.counts.misses == 3
    assert cache.bytes == 5


def test_another_version_is_another_file(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOOKED_AT_EVERY", 0.0)
    put(memory, "zbk", b"12345")
    cache = FileCache(tmp_path, 100)
    assert fetched(cache, "zbk") == b"12345"
    put(memory, "zbk", b"54321")
    assert fetched(cache, "zbk") == b"54321"


def test_files_are_bounded_in_bytes(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    for name in "abcd":
        put(memory, name, name.encode() * 40)
    cache = FileCache(tmp_path, 100)
    for name in "ababcadb":
        assert fetched(cache, name) == name.encode() * 40
        there = list(tmp_path.iterdir())
        assert sum(file.stat().st_size for file in there) == cache.bytes <= 100
    assert (cache.counts.misses, cache.counts.hits) == (6, 2)
    smaller = FileCache(tmp_path, 50)
    assert smaller.bytes == 40
    assert [file.read_bytes()[:1] for file in tmp_path.iterdir()] == [b"b"]


def test_two_that_want_one_file_wait_for_one_fetch(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    put(memory, "zbk", b"1" * 1000)
    cache = FileCache(tmp_path, 10_000)
    threads = [threading.Thread(target=fetched, args=(cache, "zbk")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cache.counts.misses, cache.counts.hits) == (1, 7)


def test_a_cache_smaller_than_one_adapter_is_one_sentence(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    put(memory, "zbk", b"1" * 11)
    wrong = f'^{tmp_path}: adapter "zbk" has 11 bytes; the cache of files holds 10 in all. Give it more bytes.$'
    with pytest.raises(StorageError, match=wrong):
        fetched(FileCache(tmp_path, 10), "zbk")
    assert list(tmp_path.iterdir()) == []


def test_other_bytes_than_the_manifest_says_are_one_sentence(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    put_manifest(memory, zbk=b"12345", hat=b"123")
    put(memory, "zbk", b"12354")
    put(memory, "hat", b"12")
    cache = FileCache(tmp_path, 100)
    with pytest.raises(
        StorageError, match=r"zbk\.safetensors: its sha256 is \w{12}, the manifest says 5994471abb01\. "
    ):
        fetched(cache, "zbk")
    with pytest.raises(StorageError, match=r"hat\.safetensors: 2 bytes came, 3 were announced\.$"):
        fetched(cache, "hat")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_went_and_a_full_disk_are_one_sentence(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_manifest(memory, zbk=b"12345")
    cache = FileCache(tmp_path, 100)
    with pytest.raises(StorageError, match=r"^memory://adapters/zbk\.safetensors: is not in the store any more\.$"):
        fetched(cache, "zbk")

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(AdapterStore, "fetch", full)
    with pytest.raises(StorageError, match=r"cannot write: No space left on device\. Free some space, or give"):
        fetched(cache, "zbk")


def test_a_store_that_does_not_answer_or_is_unknown_is_one_sentence() -> None:
    with pytest.raises(StorageError, match=r"^nowhere://x: cannot be opened: Protocol not known: nowhere"):
        AdapterStore("nowhere://x/").find("zbk")
    with pytest.raises(StorageError, match=r"^http://127\.0\.0\.1:9/x: (the store does not answer|cannot be opened): "):
        AdapterStore("http://127.0.0.1:9/x").find("zbk")


def test_a_catalogue_shows_what_stores_have(memory: fsspec.AbstractFileSystem) -> None:
    put(memory, "zbk", b"12345")
    catalogue = StoredCatalogue([], [AdapterStore(URL)], LibraryLookup())
    assert [(entry.name, entry.file, entry.bytes) for entry in catalogue.entries()] == [("zbk", "zbk.safetensors", 5)]
    catalogue.find("zbk")
    assert catalogue.trigger("zbk") == ""
    with pytest.raises(PromptError, match=r'^prompt: adapter "hat" is unknown\.'):
        catalogue.find("hat", where="prompt")


def make(folder: Path, names: str, adapter: Adapter) -> list[Path]:
    return [save_adapter(folder / f"{name}.safetensors", adapter, torch.float32) for name in names]


def test_factors_are_bounded_in_bytes(tiny_adapter: Adapter, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    paths = make(tmp_path / "store", "abc", tiny_adapter)
    size = load_adapter(paths[0]).bytes
    store, files = AdapterStore(f"file://{tmp_path}/store"), FileCache(tmp_path / "kept", 1 << 20)
    source = StoredAdapters([], [store], files, 2 * size + 1, AdapterCache([]))
    first = source.get("a")
    assert source.get("a") is first
    assert first.name == "a"
    source.get("b")
    assert (source.counts.misses, source.counts.hits, source.bytes) == (2, 1, 2 * size)
    source.get("c")
    assert source.counts.gone == ["a"]
    assert source.bytes == 2 * size
    assert source.hash("a") == addnet_hash(paths[0])
    assert {source.get("c").name, source.get("b").name} == {"b", "c"}
    assert source.counts.misses == 3
    assert source.path("c").read_bytes() == paths[2].read_bytes()
    with pytest.raises(PromptError, match=r'^prompt: adapter "d" is unknown\.$'):
        source.get("d")


def test_folders_come_before_stores(tiny_adapter: Adapter, tmp_path: Path) -> None:
    for place in ("store", "here"):
        (tmp_path / place).mkdir()
    make(tmp_path / "store", "ab", tiny_adapter)
    (own,) = make(tmp_path / "here", "a", tiny_adapter)
    store, files = AdapterStore(f"file://{tmp_path}/store"), FileCache(tmp_path / "kept", 1 << 20)
    folders = [tmp_path / "here"]
    source = StoredAdapters(folders, [store], files, 1 << 20, AdapterCache(folders))
    assert source.path("a") == own
    assert source.hash("a") is None
    source.get("a")
    source.fetch("a")
    assert source.counts.misses == files.counts.misses == 0
    source.fetch("b")
    assert (source.counts.misses, files.counts.misses) == (1, 1)


def test_what_is_fetched_ahead_counts_once(tiny_adapter: Adapter, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    make(tmp_path / "store", "abc", tiny_adapter)
    store, files = AdapterStore(f"file://{tmp_path}/store"), FileCache(tmp_path / "kept", 1 << 20)
    source = StoredAdapters([], [store], files, 1 << 20, AdapterCache([]))
    threads = [threading.Thread(target=source.fetch, args=(name,)) for name in "abcabc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (source.counts.misses, source.counts.hits) == (3, 0)
    kept = [source.get(name) for name in "abc"]
    assert (source.counts.misses, source.counts.hits) == (3, 0), "they were asked for once"
    assert [source.get(name) for name in "abc"] == kept
    source.fetch("a")
    assert (source.counts.misses, source.counts.hits) == (3, 3)
    assert source.get("a") is kept[0]
    assert (source.counts.misses, source.counts.hits) == (3, 4)


def test_two_processes_have_their_own_folders(tmp_path: Path) -> None:
    first, second = open_file_cache(tmp_path, 100), open_file_cache(tmp_path, 100)
    assert (first.folder, second.folder) == (tmp_path / "0", tmp_path / "1")
