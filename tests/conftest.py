"""Fixtures that several rooms use. Models are built on demand, so that tests without tensors import no torch."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lorasmith.remedies import plain_words, worded_by
from lorasmith.storage.places import HOME_VARIABLE

if TYPE_CHECKING:
    from lorasmith.bases.base import Base


@pytest.fixture(autouse=True)
def no_face() -> Iterator[None]:
    """Remedies are in plain words, whatever face the test before has used."""
    with worded_by(plain_words):
        yield


@pytest.fixture(autouse=True)
def own_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for a user lies in a folder of the test's own: nobody's library is read."""
    if HOME_VARIABLE not in os.environ:
        monkeypatch.setenv(HOME_VARIABLE, str(tmp_path_factory.getbasetemp() / f"home-{uuid.uuid4().hex[:8]}"))


@pytest.fixture(scope="session")
def tiny_base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny sd1 base in a diffusers folder. Do not write to it."""
    from tests.tiny import build_tiny_base

    return build_tiny_base(tmp_path_factory.mktemp("bases") / "tiny-sd1")


@pytest.fixture
def tiny_base(tiny_base_folder: Path) -> Base:
    """The tiny sd1 base, loaded anew for each test."""
    from lorasmith.bases.base import load_base

    return load_base(tiny_base_folder)


@pytest.fixture(scope="session")
def family_folders(tmp_path_factory: pytest.TempPathFactory, tiny_base_folder: Path) -> dict[str, Path]:
    """A tiny folder of every family, by family name."""
    from tests.tiny import build_tiny_base

    root = tmp_path_factory.mktemp("families")
    others = {family: build_tiny_base(root / family, family) for family in ("sd2", "sdxl")}
    return {"sd1": tiny_base_folder, **others}


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"
