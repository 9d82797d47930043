"""Snapshots in training order; judges that fit the base."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.errors import ExamError
from lorasmith.exam.settings import read_settings
from lorasmith.exam.sources import find_judge, find_project, newest_snapshots
from lorasmith.project import open_project
from tests.adapters.test_runs import lay_adapter
from tests.exam.toy import make_project


def test_the_newest_runs_adapters_are_examined(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p")
    project = open_project(root)
    with pytest.raises(ExamError, match="no adapter was trained yet"):
        newest_snapshots(project)
    for name in ("1/toy", "2/snapshots/toy-000002", "2/toy"):
        lay_adapter(root / "runs" / f"{name}.safetensors")
    assert [path.stem for path in newest_snapshots(project)] == ["toy-000002", "toy"]


def test_an_adapter_finds_its_project(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p")
    file = lay_adapter(root / "runs" / "1" / "toy.safetensors")
    project, adapter = find_project(file)
    assert project.root == root
    assert adapter == file
    assert find_project(root)[1] is None


def test_the_exact_judge_is_for_the_embedded_base_only(tmp_path: Path) -> None:
    project = open_project(make_project(tmp_path / "p"))
    with pytest.raises(ExamError, match=r"pictures of doodle only.*\n?.*judge = FOLDER"):
        find_judge(project, read_settings(project), "/models/sd15")


def test_a_missing_tagger_folder_is_named(tmp_path: Path) -> None:
    project = open_project(make_project(tmp_path / "p", 'judge = "taggers/none"'))
    with pytest.raises(ExamError, match="taggers/none: no such tagger folder"):
        find_judge(project, read_settings(project), "/models/sd15")
