"""Files that come into a folder together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lorasmith.errors import StorageError
from lorasmith.storage.arrivals import arriving, settle


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_all_come_and_nothing_is_written_over_but_files_at_the_top(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_text("old")
    (tmp_path / "sources.jsonl").write_text("old")
    with arriving(tmp_path) as gathered:
        (gathered / "images").mkdir()
        (gathered / "empty").mkdir()
        (gathered / "images" / "a.png").write_text("new")
        (gathered / "sources.jsonl").write_text("new")
        assert tree(tmp_path / "images") == {"a.png": "old"}
    assert tree(tmp_path) == {"images/a.png": "old", "images/a-2.png": "new", "sources.jsonl": "new"}
    assert (tmp_path / "empty").is_dir()


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def bring(fault: Exception) -> None:
        with arriving(tmp_path / "p") as gathered:
            (gathered / "file").write_text("half")
            raise fault

    with pytest.raises(ValueError, match="wrong"):
        bring(ValueError("wrong"))
    with pytest.raises(StorageError, match="No space"):
        bring(OSError(28, "No space left on device"))
    assert list((tmp_path / "p").iterdir()) == []


def test_what_was_left_to_be_moved_is_moved_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really, moved = os.replace, 0

    def replace(source: Path, target: Path) -> None:
        nonlocal moved
        moved += 1
        if moved > 2:
            raise OSError(28, "No space left on device")
        really(source, target)

    def bring() -> None:
        with monkeypatch.context() as patch, arriving(tmp_path) as gathered:
            (gathered / "images").mkdir()
            for name in ("images/a.png", "images/a.txt", "lora.toml"):
                (gathered / name).write_text(name)
            patch.setattr("lorasmith.storage.arrivals.os.replace", replace)

    with pytest.raises(StorageError, match="No space"):
        bring()
    assert len(tree(tmp_path)) == 3
    settle(tmp_path)
    settle(tmp_path)
    assert tree(tmp_path) == {name: name for name in ("images/a.png", "images/a.txt", "lora.toml")}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "lora.toml"]


def test_a_second_is_told_who_brings_files(tmp_path: Path) -> None:
    def bring() -> None:
        with arriving(tmp_path):
            pass

    with arriving(tmp_path), pytest.raises(StorageError, match=f"process {os.getpid()} is putting files here"):
        bring()
    bring()
