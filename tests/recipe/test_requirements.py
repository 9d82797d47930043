"""What a recipe needs is looked for before any work (D2)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lorasmith.errors import RecipeError
from lorasmith.events import finish
from lorasmith.face.stages import plan_training, train_project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.recipe.requirements import check_requirements
from tests.projects import build_project

MISSING = {
    "adamw8bit": ({"optimizer.name": "adamw8bit"}, "bitsandbytes", r"lorasmith\[optim\]"),
    "prodigy": ({"optimizer.name": "prodigy"}, "prodigyopt", r"lorasmith\[optim\]"),
    "tensorboard": ({"tensorboard": "true"}, "tensorboard", r"lorasmith\[tensorboard\]"),
}


@pytest.mark.parametrize("key", MISSING)
def test_a_missing_library_is_told_by_the_plan_and_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    settings, package, extra = MISSING[key]
    monkeypatch.setitem(sys.modules, package, None)
    project = build_project(tmp_path, "epochs = 1")
    for work in (plan_training(project, settings, rehearse=False), train_project(project, settings)):
        with pytest.raises(RecipeError, match=extra):
            finish(work)
    assert not (project.cache / "latents").exists()
    assert not list(project.root.glob("runs/*"))


def test_the_sweep_is_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    project = build_project(tmp_path, "epochs = 1")
    file = project.file
    file.write_text(file.read_text("utf-8") + '\n[sweep]\n"optimizer.name" = ["adamw", "adamw8bit"]\n', "utf-8")
    from lorasmith.project import open_project

    with pytest.raises(RecipeError, match="needs bitsandbytes"):
        finish(train_project(open_project(project.root)))


def test_a_training_adapter_is_a_file(tmp_path: Path) -> None:
    project = build_project(tmp_path / "p", 'training_adapter = "helper"\nepochs = 1')
    folder = project.root / "helper"

    def said() -> str:
        with pytest.raises(RecipeError) as caught:
            check_requirements(read_recipe(project), project.root)
        return f"{caught.value.message} {caught.value.hint}"

    assert "no such file. Give the path of an adapter file" in said()
    folder.mkdir()
    assert said().endswith('a folder, where an adapter file is wanted. Name the file in it: "helper/FILE.safetensors".')
    for name in ("b.safetensors", "a.safetensors"):
        (folder / name).touch()
    assert said().endswith('Name the file in it: "helper/a.safetensors", one of 2.')
    check_requirements(read_recipe(project, {"training_adapter": '"helper/a.safetensors"'}), project.root)
