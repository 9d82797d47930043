"""Reel made known, a base of it, and an adapter that was trained on it by its own preset; one tiny base a family."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.families import FAMILIES
from lorasmith.events import StepDone
from tests.families.anima_models import build_anima
from tests.families.klein_models import build_klein
from tests.families.reel import REEL
from tests.families.reel_models import build_reel
from tests.families.roads import Run, build_project, run
from tests.families.zimage_models import build_zimage


@pytest.fixture(scope="package", autouse=True)
def _known() -> Iterator[None]:
    FAMILIES.register(REEL)
    yield
    FAMILIES.remove(REEL)


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that draws red, green and blue pictures."""
    return build_reel(tmp_path_factory.mktemp("reel") / "colours")


@pytest.fixture(scope="package")
def base(folder: Path) -> Base:
    """One for all tests here: nothing leaves a trace in it."""
    return load_base(folder)


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory, folder: Path, base: Base) -> Run:
    """Twenty steps by the family's own preset, text encoder too."""
    project = build_project(tmp_path_factory.mktemp("projects") / "zbk", folder)
    done, events = run(project, base, {})
    return Run(project, done, tuple(event.loss for event in events if isinstance(event, StepDone)))


@pytest.fixture(scope="package")
def anima_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_anima(tmp_path_factory.mktemp("anima") / "tiny")


@pytest.fixture(scope="package")
def anima_base(anima_folder: Path) -> Base:
    return load_base(anima_folder)


@pytest.fixture(scope="package")
def zimage_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_zimage(tmp_path_factory.mktemp("zimage") / "tiny")


@pytest.fixture(scope="package")
def zimage_base(zimage_folder: Path) -> Base:
    return load_base(zimage_folder)


@pytest.fixture(scope="package")
def klein_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_klein(tmp_path_factory.mktemp("klein") / "tiny")


@pytest.fixture(scope="package")
def klein_base(klein_folder: Path) -> Base:
    return load_base(klein_folder)
