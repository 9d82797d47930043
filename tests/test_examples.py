"""The shipped examples are whole projects: captioned images, trigger first, credits, a readable lora.toml."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from lorasmith.errors import StorageError
from lorasmith.exam.settings import read_settings
from lorasmith.examples import EXAMPLES, copy_example, example_folder
from lorasmith.project import open_project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.tags.words import split_tags


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_whole_project(name: str, tmp_path: Path) -> None:
    project = open_project(copy_example(name, tmp_path / name))
    images = sorted((project.root / "images").glob("*.png"))
    assert len(images) >= 25
    for image in images:
        caption = image.with_suffix(".txt").read_text("utf-8")
        assert split_tags(caption)[0] == project.lora.trigger
    assert sum(file.stat().st_size for file in project.root.rglob("*") if file.is_file()) < 400_000
    assert "CC" in (example_folder(name) / "CREDITS.md").read_text("utf-8")
    assert project.provenance.licence
    assert read_settings(project).pictures >= 200
    assert read_recipe(project).base == "doodle"


def test_a_full_disk_is_told_in_words_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_nothing(_: str, target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    monkeypatch.setattr("shutil.copyfile", write_nothing)
    with pytest.raises(StorageError, match=re.escape(f"{os.strerror(errno.ENOSPC)}.")):
        copy_example("character", tmp_path / "project")
    assert list(tmp_path.iterdir()) == []
