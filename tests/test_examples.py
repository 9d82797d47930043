"""The shipped examples are whole projects: captioned images, trigger first, credits, a readable lora.toml."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from lorasmith.adapters.files import load_adapter
from lorasmith.adapters.recommendation import Recommendation
from lorasmith.bases.doodle import tagger_folder, world
from lorasmith.bases.tag_space import read_tag_space
from lorasmith.errors import StorageError
from lorasmith.events import finish
from lorasmith.exam.judges import exact_judge
from lorasmith.exam.settings import read_settings
from lorasmith.exam.sources import find_partners
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


def test_shipped_adapters_say_how_they_are_called_and_what_they_show(tmp_path: Path) -> None:
    judge, space = exact_judge(tagger_folder()), read_tag_space(world())
    project = open_project(copy_example("concept", tmp_path / "concept"))
    assert list(project.root.glob("*.safetensors")) == []  # an adapter in a project is one that was trained there
    settings = read_settings(project, {"stacking_pictures": 4})
    partners = {each.name: each for each in finish(find_partners(project, settings, judge, space, "doodle"))}
    assert set(partners) >= {"zbk", "pxl"}
    assert "nyx" not in partners  # it is not stacked with itself
    for name, partner in partners.items():
        assert partner.trigger.startswith(name)
        assert 0.4 <= partner.strength <= 1.2
        assert partner.identity
        assert all(judge.groups[group].of(tag) == tag for group, tag in partner.identity.items())
        adapter = load_adapter(partner.file)
        assert Recommendation.read(adapter.metadata) is not None
        assert partner.file.stat().st_size < 2_600_000
    assert partners["pxl"].identity == {"style": "pixelart style"}


def test_a_full_disk_is_told_in_words_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_nothing(_: str, target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)

    monkeypatch.setattr("shutil.copyfile", write_nothing)
    with pytest.raises(StorageError, match=re.escape(f"{os.strerror(errno.ENOSPC)}.")):
        copy_example("character", tmp_path / "project")
    assert list(tmp_path.iterdir()) == []
