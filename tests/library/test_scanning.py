"""A scan: new, changed, moved and lost files; folders that are away; several at once. Nothing hangs or is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lorasmith.errors import UsageError
from lorasmith.events import Note, finish
from lorasmith.library import hashing, scanning
from lorasmith.library.entry import Filters, LibraryEntry, ScanReport
from lorasmith.library.hashes import Hashes, hash_file, hash_steps
from lorasmith.library.index import LibraryIndex
from tests.library.files import write_adapter


def scan(library: LibraryIndex, **how: object) -> ScanReport:
    return finish(library.scan(**how))  # type: ignore[arg-type]


def only(library: LibraryIndex, name: str) -> LibraryEntry:
    (entry,) = library.find(name)
    return entry


def test_a_scan_finds_all_and_a_second_one_nothing_new(library: LibraryIndex, loras: Path) -> None:
    write_adapter(loras / "a.safetensors", 1, ss_output_name="first", modelspec__trigger_phrase="zbk girl, red scarf")
    write_adapter(loras / "deep" / "down" / "b.safetensors", 2)
    write_adapter(loras / ".hidden" / "c.safetensors", 3)
    (loras / "a.json").write_text(json.dumps({"activation text": "zbk", "preferred weight": 0.7, "notes": "good"}))
    (loras / "a.preview.png").write_bytes(b"\x89PNG")
    report = scan(library)
    assert (report.files, report.new, report.hashed, report.unhashed) == (2, 2, 2, 0)
    entry = only(library, "a")
    assert (entry.family, entry.algorithms, entry.rank, entry.alias) == ("sdxl", ("lora",), 4, "first")
    assert entry.triggers == ("zbk girl, red scarf", "zbk")
    assert (entry.strength, entry.notes, entry.sidecars) == (0.7, "good", ("a.json",))
    assert entry.preview == loras / "a.preview.png"
    hashes = hash_file(entry.path)
    assert (entry.sha256, entry.payload, entry.autov1) == (hashes.sha256, hashes.payload, hashes.autov1)
    assert (entry.autov2, entry.autov3) == (hashes.sha256[:10], hashes.payload[:12])
    again = scan(library)
    assert (again.files, again.new, again.changed, again.hashed) == (2, 0, 0, 0)


@pytest.mark.parametrize(
    "name",
    ["first", "zbk", "ZBK  girl, red_scarf", "zbk girl", "deep/../a", "PATH", "SHA256", "AutoV2", "AutoV3", "AutoV1"],
)
def test_a_file_is_found_by_whatever_calls_it(name: str, library: LibraryIndex, loras: Path) -> None:
    facts = {"ss_output_name": "first", "modelspec.trigger_phrase": "zbk girl, red scarf"}
    write_adapter(loras / "a.safetensors", 1, rank=256, **facts)
    write_adapter(loras / "b.safetensors", 2, rank=256)
    (loras / "a.json").write_text(json.dumps({"activation text": "zbk"}))
    scan(library)
    entry = only(library, "a")
    called = {"PATH": str(entry.path), **{key: value.upper() for key, value in entry.hashes.items()}}.get(name, name)
    assert [found.id for found in library.find(called)] == ([] if name == "deep/../a" else [entry.id])
    assert library.find("nothing") == []


def test_what_changed_is_looked_at_again_and_notes_stay(library: LibraryIndex, loras: Path) -> None:
    file = write_adapter(loras / "a.safetensors", 1)
    scan(library)
    before = only(library, "a")
    library.note([before], notes="mine", rating=4, favourite=True)
    library.collect("best", [before])
    write_adapter(file, 2, rank=8, modelspec__trigger_phrase="zbk")
    report = scan(library)
    assert (report.changed, report.new, report.hashed) == (1, 0, 1)
    entry = only(library, "a")
    assert (entry.rank, entry.triggers) == (8, ("zbk",))
    assert entry.sha256 != before.sha256
    assert (entry.notes, entry.rating, entry.favourite, entry.collections) == ("mine", 4, True, ("best",))
    (loras / "a.json").write_text(json.dumps({"activation text": "other"}))
    assert scan(library).changed == 1
    entry = only(library, "other")
    assert (entry.triggers, entry.notes, len(entry.sha256)) == (("zbk", "other"), "mine", 64)


def noted(library: LibraryIndex, name: str = "a") -> LibraryEntry:
    entry = only(library, name)
    library.note([entry], notes="mine", rating=5)
    library.collect("best", [entry])
    return only(library, name)


def test_a_moved_file_is_the_same_file_at_once(library: LibraryIndex, loras: Path) -> None:
    file = write_adapter(loras / "a.safetensors", 1)
    scan(library)
    before = noted(library)
    (loras / "sub").mkdir()
    file.rename(loras / "sub" / "renamed.safetensors")
    report = scan(library, hashes=False)
    assert (report.moved, report.new, report.gone, report.unhashed) == (1, 0, 0, 0)
    entry = only(library, "renamed")
    assert (entry.notes, entry.rating, entry.collections, entry.sha256) == ("mine", 5, ("best",), before.sha256)
    assert library.find("a") == []


def test_a_copy_made_before_the_first_one_went_is_told_by_its_hash(library: LibraryIndex, loras: Path) -> None:
    file = write_adapter(loras / "a.safetensors", 1)
    scan(library)
    noted(library)
    shutil.copy(file, loras / "copied.safetensors")
    os.utime(loras / "copied.safetensors", (1, 1))
    file.unlink()
    assert scan(library, hashes=False).gone == 1
    report = scan(library)
    assert (report.hashed, report.gone) == (1, 0)
    assert only(library, "copied").notes == "mine"
    assert library.entries(Filters(words="mine")).total == 1


def test_other_bytes_under_the_same_header_are_another_file(library: LibraryIndex, loras: Path) -> None:
    file = write_adapter(loras / "a.safetensors", 1)
    os.utime(file, (5, 5))
    scan(library)
    noted(library)
    file.unlink()
    write_adapter(loras / "b.safetensors", 2)
    report = scan(library)
    assert (report.moved, report.new, report.gone) == (0, 1, 1)
    assert only(library, "b").notes == ""
    assert only(library, "a").state == "gone"
    assert only(library, "a").notes == "mine"


def test_what_went_comes_back_with_its_notes(library: LibraryIndex, loras: Path, tmp_path: Path) -> None:
    file = write_adapter(loras / "a.safetensors", 1)
    write_adapter(loras / "b.safetensors", 2)
    scan(library)
    noted(library)
    file.rename(tmp_path / "kept")
    assert scan(library).gone == 1
    assert [entry.name for entry in library.entries().entries] == ["b"]
    (tmp_path / "kept").rename(file)
    report = scan(library)
    assert (report.gone, report.new) == (0, 0)
    assert only(library, "a").notes == "mine"


@pytest.mark.parametrize("how", ["gone", "empty", "a file"])
def test_a_folder_that_is_gone_is_no_deletion(how: str, library: LibraryIndex, loras: Path, tmp_path: Path) -> None:
    write_adapter(loras / "a.safetensors", 1)
    scan(library)
    noted(library)
    loras.rename(tmp_path / "unplugged")
    if how == "empty":
        loras.mkdir()
    elif how == "a file":
        loras.write_text("x")
    said: list[str] = []
    report = finish(library.scan(), lambda event: said.append(event.message) if isinstance(event, Note) else None)
    assert [folder for folder, _ in report.away] == [str(loras)]
    assert any("what was known of its files is kept" in text for text in said)
    assert only(library, "a").state == "away"
    assert library.entries().total == 0
    if how == "empty":
        loras.rmdir()
    elif how == "a file":
        loras.unlink()
    (tmp_path / "unplugged").rename(loras)
    assert scan(library).away == ()
    entry = only(library, "a")
    assert (entry.state, entry.notes, len(entry.sha256)) == ("here", "mine", 64)


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may read everything")
def test_a_folder_that_may_not_be_read_keeps_its_files_by_rights(library: LibraryIndex, loras: Path) -> None:
    write_adapter(loras / "sub" / "a.safetensors", 1)
    scan(library)
    (loras / "sub").chmod(0)
    try:
        scan(library)
        assert only(library, "a").state == "away"
    finally:
        (loras / "sub").chmod(0o755)


def test_a_folder_that_cannot_be_listed_keeps_its_files(
    library: LibraryIndex, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_adapter(loras / "sub" / "a.safetensors", 1)
    write_adapter(loras / "b.safetensors", 2)
    scan(library)
    really = os.scandir

    def broken(path: bytes) -> object:
        if path.endswith(b"sub"):
            raise OSError(5, "Input/output error")
        return really(path)

    monkeypatch.setattr(os, "scandir", broken)
    scan(library)
    assert (only(library, "a").state, only(library, "b").state) == ("away", "here")
    monkeypatch.undo()
    scan(library)
    assert only(library, "a").state == "here"


def test_a_disk_that_does_not_answer_is_left(
    library: LibraryIndex, loras: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first folder hangs in a system call that never returns; the second one is scanned."""
    second = tmp_path / "second"
    write_adapter(loras / "a.safetensors", 1)
    write_adapter(second / "b.safetensors", 2)
    scan(library)
    noted(library)
    library.add_folder(second)
    never = threading.Event()
    really = os.scandir

    def hangs(path: bytes) -> object:
        if path == os.fsencode(loras):
            never.wait(60)
        return really(path)

    monkeypatch.setattr(os, "scandir", hangs)
    began = time.monotonic()
    report = scan(library, patience=0.5)
    assert time.monotonic() - began < 20
    never.set()
    assert report.away == ((str(loras), "does not answer for 0.5 s"),)
    assert only(library, "b").state == "here"
    assert (only(library, "a").state, only(library, "a").notes) == ("away", "mine")


def test_a_file_that_cannot_be_read_to_its_end_is_hashed_another_time(
    library: LibraryIndex, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write_adapter(loras / f"{number}.safetensors", number)
    really = hash_steps

    def broken(path: Path) -> Iterator[int | Hashes]:
        if path.name == "1.safetensors":
            raise OSError(5, "Input/output error")
        yield from really(path)

    monkeypatch.setattr(hashing, "hash_steps", broken)
    report = scan(library)
    assert (report.hashed, report.unhashed) == (2, 1)
    monkeypatch.undo()
    assert scan(library).hashed == 1


def test_a_scan_that_is_stopped_goes_on_where_it_was(
    library: LibraryIndex, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        write_adapter(loras / f"{number}.safetensors", number)
    monkeypatch.setattr(scanning, "BATCH", 4)
    work = library.scan()
    next(work)
    work.close()
    known = library.entries().total
    assert known == 4
    report = scan(library)
    assert (report.new, report.files, report.hashed) == (6, 10, 10)


def test_broken_files_and_other_models_are_named(library: LibraryIndex, loras: Path) -> None:
    whole = write_adapter(loras / "a.safetensors", 1).read_bytes()
    (loras / "cut.safetensors").write_bytes(whole[:-10])
    (loras / "page.safetensors").write_bytes(b"<!DOCTYPE html><html><body>Not found</body></html>" * 30)
    (loras / "nothing.safetensors").write_bytes(b"")
    (loras / "old.pt").write_bytes(b"PK\x03\x04" + b"\0" * 100)
    (loras / "strange.safetensors").write_bytes(whole[:8] + whole[8:].replace(b"lora_down.weight", b"lora_xxxx.weight"))
    os.mkfifo(loras / "pipe.safetensors")
    report = scan(library)
    assert report.files == 6
    problems = {entry.name: entry.problem for entry in library.every(Filters(kind="")) if entry.problem}
    assert set(problems) == {"cut", "page", "nothing", "old", "strange"}
    assert "cut short or damaged" in problems["cut"]
    assert "pickled" in problems["old"]
    assert report.broken == 5


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are always text")
def test_names_that_are_no_text(library: LibraryIndex, loras: Path) -> None:
    names = [b"\xff\xfe", b"caf\xe9", b"\xe3\x81", b"a\x80b", b"\xc0\xaf", b"new\nline", b"\xed\xa0\x80", b"x\xf0\x9f"]
    names += [b"tab\t\xff", b"quote'\"\xfe"]
    for number, name in enumerate(names):
        path = Path(os.fsdecode(os.fsencode(loras) + b"/" + name + b".safetensors"))
        write_adapter(path, number)
        path.with_suffix(".json").write_text(json.dumps({"notes": str(number)}))
    report = scan(library)
    assert (report.files, report.new, report.hashed) == (10, 10, 10)
    entries = list(library.every())
    assert {os.fsencode(entry.path.name) for entry in entries} == {name + b".safetensors" for name in names}
    assert sorted(entry.notes for entry in entries) == sorted(map(str, range(10)))
    for entry in entries:
        assert entry.path.is_file()
        for called in (entry.name, entry.path.stem, str(entry.path)):
            assert [found.id for found in library.find(called)] == [entry.id]
        json.dumps(entry.as_json(), ensure_ascii=True)
        assert library.entry(entry.path) is not None
    assert scan(library).changed == 0


def test_links_in_a_circle_end(library: LibraryIndex, loras: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "elsewhere" / "a.safetensors", 1)
    (loras / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(loras)
    (loras / "broken.safetensors").symlink_to(tmp_path / "nowhere")
    report = scan(library)
    assert (report.files, report.unhashed) == (1, 0)


def scan_elsewhere(file: str, ready: object) -> None:
    ready.wait()  # type: ignore[attr-defined]
    with LibraryIndex.open(Path(file)) as library:
        scan(library)


def test_two_processes_at_once(library: LibraryIndex, loras: Path) -> None:
    for number in range(120):
        write_adapter(loras / f"f{number % 5}" / f"{number}.safetensors", number)
    noted_file = write_adapter(loras / "noted.safetensors", 1000)
    scan(library, hashes=False)
    noted(library, "noted")
    noted_file.rename(loras / "moved.safetensors")
    for number in range(120, 200):
        write_adapter(loras / f"{number}.safetensors", number)
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    others = [context.Process(target=scan_elsewhere, args=(str(library.file), ready)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join(120)
        assert other.exitcode == 0
    entries = list(library.every())
    assert sorted(entry.name for entry in entries) == sorted([*map(str, range(200)), "moved"])
    assert all(len(entry.sha256) == 64 for entry in entries)
    assert only(library, "moved").notes == "mine"
    assert scan(library).hashed == 0


def test_folders(library: LibraryIndex, loras: Path, tmp_path: Path) -> None:
    write_adapter(loras / "sub" / "a.safetensors", 1)
    scan(library)
    noted(library)
    assert library.add_folder(loras / "sub") == loras / "sub"
    assert library.folders() == [loras]
    library.add_folder(tmp_path / "models")
    assert library.folders() == [tmp_path / "models"]
    assert scan(library).files == 1
    assert only(library, "a").folder == tmp_path / "models"
    assert only(library, "a").notes == "mine"
    with pytest.raises(UsageError, match="no such folder"):
        library.add_folder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no folder of the library"):
        library.forget_folder(tmp_path / "nowhere")
    assert library.forget_folder(tmp_path / "models") == 1
    assert (library.folders(), library.find("a")) == ([], [])


def test_one_file_is_taken_in_at_once(library: LibraryIndex, loras: Path, tmp_path: Path) -> None:
    file = write_adapter(loras / "a.safetensors", 1)
    hashes = hash_file(file)
    entry = library.add_file(file, hashes)
    assert (entry.name, entry.sha256, entry.folder) == ("a", hashes.sha256, loras)
    report = scan(library)
    assert (report.new, report.changed, report.hashed) == (0, 0, 0)
    outside = library.add_file(write_adapter(tmp_path / "b.safetensors", 2))
    assert outside.folder is None
    scan(library)
    assert only(library, "b").state == "here"


def test_a_hash_is_sought_in_files_that_have_none_yet(library: LibraryIndex, loras: Path) -> None:
    for number in range(5):
        write_adapter(loras / f"{number}.safetensors", number)
    wanted = hash_file(loras / "3.safetensors")
    scan(library, hashes=False)
    assert library.find(wanted.payload[:12]) == []
    assert [entry.name for entry in finish(library.hash_until(wanted.payload[:12].upper()))] == ["3"]
    assert finish(library.hash_until("0" * 12)) == []
    assert library.entries(Filters()).total == 5
