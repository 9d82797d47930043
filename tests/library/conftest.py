"""A library of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lorasmith.library.index import LibraryIndex


@pytest.fixture
def loras(tmp_path: Path) -> Path:
    """A folder for adapters."""
    folder = tmp_path / "models" / "Lora"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def library(tmp_path: Path, loras: Path) -> Iterator[LibraryIndex]:
    """An empty library that knows the folder."""
    with LibraryIndex.open(tmp_path / "library.db") as index:
        index.add_folder(loras)
        yield index
