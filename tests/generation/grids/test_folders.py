"""Folders of grids: their own, and none of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.errors import UsageError
from lorasmith.generation.grids.folders import claim_folder, find_identity


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
