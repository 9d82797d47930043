"""Files are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread

import pytest

from lorasmith.errors import StorageError
from lorasmith.storage.files import (
    append_lines,
    partial_of,
    remove_all_left_partials,
    remove_left_partials,
    replace_folder,
    replacing,
    write_file,
)


def test_write_file_is_whole_or_nothing(tmp_path: Path) -> None:
    path = write_file(tmp_path / "deep" / "file.txt", "héllo")
    assert path.read_text("utf-8") == "héllo"
    (tmp_path / "wall").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_file(tmp_path / "wall" / "file.txt", b"x")
    assert list(tmp_path.rglob("*.partial")) == []


def test_lines_are_appended_apart_from_a_broken_one(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "lines.jsonl"
    append_lines(file, ["one", "two"])
    with file.open("a") as out:
        out.write("thr")
    append_lines(file, ["four"])
    assert file.read_text() == "one\ntwo\nthr\nfour\n"
    with pytest.raises(StorageError, match="cannot write"):
        append_lines(tmp_path, ["x"])


def test_replacing_a_folder_leaves_nothing_after_an_error(tmp_path: Path) -> None:
    place = tmp_path / "made"

    def fail() -> None:
        with replacing(place) as partial:
            partial.mkdir()
            (partial / "file").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space"):
        fail()
    assert list(tmp_path.iterdir()) == []
    with replacing(place) as partial:
        partial.mkdir()
        (partial / "file").write_text("whole")
    assert (place / "file").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_two_threads_replace_the_same_file(tmp_path: Path) -> None:
    place, meet, seen = tmp_path / "file", Barrier(2), list[Path]()

    def write(text: str) -> None:
        with replacing(place) as partial:
            partial.write_text(text)
            meet.wait(10)
            seen.append(partial)

    threads = [Thread(target=write, args=(text,)) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 2
    assert place.read_text() in ("one", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_killed_processes_left_is_removed_and_what_living_ones_make_stays(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    place, mine = tmp_path / "images", partial_of(tmp_path / "images")
    assert partial_of(place) != mine
    for left in (tmp_path / ".images.partial", tmp_path / f".images.{gone.pid}-0.partial", mine):
        left.mkdir()
    (tmp_path / ".others.partial").mkdir()
    remove_left_partials(place)
    assert sorted(tmp_path.iterdir()) == sorted([mine, tmp_path / ".others.partial"])


def test_what_killed_processes_left_of_any_file_is_removed_from_a_folder(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "deeper").mkdir()
    left = tmp_path / f".a b.png.{dead.pid}-7.partial"
    stays = [
        tmp_path / f".a.png.{os.getpid()}-7.partial",
        tmp_path / "of.partial",
        tmp_path / ".mine.partial",
        tmp_path / f"a.{dead.pid}-7.partial",
        tmp_path / "deeper" / left.name,
    ]
    for path in (left, *stays):
        path.write_text("x")
    remove_all_left_partials(tmp_path)
    remove_all_left_partials(tmp_path / "nowhere")
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(stays)


def test_lines_are_added_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "lines"
    append_lines(file, ["one"])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lorasmith.storage.files.os.fsync", full)
    with pytest.raises(StorageError, match="No space"):
        append_lines(file, ["two", "three"])
    assert file.read_text() == "one\n"


def test_a_folder_is_there_again_when_another_cannot_take_its_place(tmp_path: Path) -> None:
    place = tmp_path / "dataset"
    place.mkdir()
    (place / "file").write_text("old")
    with pytest.raises(OSError, match="No such file"):
        replace_folder(tmp_path / "absent", place)
    assert (place / "file").read_text() == "old"
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    replace_folder(fresh, place)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]
    assert list(place.iterdir()) == []
