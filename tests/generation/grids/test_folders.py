"""Folders of grids: their own, and none of the user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lorasmith.errors import StorageError, UsageError
from lorasmith.generation.grids.folders import claim_folder, find_identity, working_in


def test_a_folder_keeps_its_identity(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "grid"
    assert find_identity(folder, "grid.json") is None
    identity = claim_folder(folder, "grid.json")
    assert find_identity(folder, "grid.json") == claim_folder(folder, "grid.json") == identity
    (folder / "grid.json").write_text("broken")
    assert claim_folder(folder, "grid.json") != identity


def test_other_things_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "grid.png").write_bytes(b"mine")
    for folder in (tmp_path, tmp_path / "grid.png"):
        with pytest.raises(UsageError, match="holds other things"):
            claim_folder(folder, "grid.json")
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


def test_one_process_at_a_time_draws_into_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "grid"
    with (
        working_in(folder, "grid.json") as identity,
        pytest.raises(StorageError, match=rf"process {os.getpid()} draws into this folder already"),
        working_in(folder, "grid.json"),
    ):
        pytest.fail("both were let in")
    with working_in(folder, "grid.json") as again:
        assert again == identity


def test_what_a_killed_process_left_is_no_other_thing_and_goes(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    first = tmp_path / f".grid.json.{gone.pid}-0.partial"
    first.write_text("half")
    assert find_identity(tmp_path, "grid.json") is None
    with working_in(tmp_path, "grid.json"):
        assert not first.exists()
    cell = tmp_path / "cells" / f".a.png.{gone.pid}-1.partial"
    cell.parent.mkdir()
    cell.write_text("half")
    with working_in(tmp_path, "grid.json"):
        assert not cell.exists()
