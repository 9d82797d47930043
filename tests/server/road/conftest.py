"""A studio with one small project, on an engine that draws plain colours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lorasmith.project import Project
from lorasmith.server.workshop import Workshop
from tests.projects import build_project
from tests.server.running import Plain, plain_settings, running

RECIPE = """resolution = 64
rank = 2
target_steps = 40
save_every = "20 steps"
batch_size = 2
[recipe.preserve]
kind = "none"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("LORASMITH_HOME", str(folder))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return build_project(tmp_path / "projects" / "zbk", RECIPE)


@pytest.fixture
def client(tmp_path: Path, project: Project, home: Path) -> Iterator[httpx.Client]:
    assert not home.exists()
    workshop = Workshop(project.root.parent, (tmp_path / "open",))
    with running(plain_settings(tmp_path), Plain(), workshop) as (client, _):
        client.base_url = client.base_url.join("/api/v1/")
        yield client
