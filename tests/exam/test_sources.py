"""Snapshots in training order; judges that fit the base."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.errors import ExamError
from lorasmith.exam.settings import read_settings
from lorasmith.exam.sources import find_judge, find_project, newest_snapshots
from lorasmith.project import open_project
from tests.exam.toy import make_project


def _touch(path: Path, weights: str = "", header: bytes = b"{}") -> Path:
    """A file in the layout of safetensors; other files have other weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header + (weights or path.stem).encode())
    return path


def test_the_newest_run_with_adapters_earliest_first_final_last(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p")
    project = open_project(root)
    with pytest.raises(ExamError, match="no adapter was trained yet"):
        newest_snapshots(project)
    _touch(root / "runs" / "1-toy" / "toy.safetensors")
    run = root / "runs" / "2-toy"
    for name in ("toy-000010", "toy-000002"):
        _touch(run / "snapshots" / f"{name}.safetensors")
    _touch(run / "snapshots" / "toy-000020.safetensors", weights="last", header=b'{"a": 1}')
    _touch(run / "toy.safetensors", weights="last")
    _touch(run / "state" / "state.safetensors")
    (root / "runs" / "3-toy").mkdir()
    assert [path.stem for path in newest_snapshots(project)] == ["toy-000002", "toy-000010", "toy"]


def test_an_adapter_finds_its_project(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p")
    file = _touch(root / "runs" / "1" / "toy.safetensors")
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
