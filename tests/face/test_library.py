"""What `import lorasmith` offers: cheap to import, each name there, and the page about it runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lorasmith
from lorasmith.errors import ProjectError, RecipeError, UsageError
from lorasmith.events import Note, Work
from lorasmith.examples import example_folder
from lorasmith.face.watching import run

ROOT = Path(__file__).parents[2]


def test_importing_loads_nothing_and_takes_no_time() -> None:
    code = (
        "import sys, time\n"
        "began = time.perf_counter()\n"
        "import lorasmith\n"
        "spent = time.perf_counter() - began\n"
        "loaded = sorted(name for name in sys.modules if name.startswith('lorasmith'))\n"
        "assert loaded == ['lorasmith'], loaded\n"
        "heavy = set(sys.modules) & {'torch', 'numpy', 'PIL', 'pydantic'}\n"
        "assert not heavy, heavy\n"
        "assert spent < 0.1, spent\n"
        "lorasmith.open_project, lorasmith.create_project, lorasmith.Project\n"
        "assert not set(sys.modules) & {'torch', 'diffusers', 'transformers'}\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_every_name_is_there_and_documented() -> None:
    assert len(lorasmith.__all__) > 10
    for name in lorasmith.__all__:
        found = getattr(lorasmith, name)
        assert name in dir(lorasmith)
        assert name.startswith("__") or found.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'studio'"):
        _ = lorasmith.studio  # type: ignore[attr-defined]


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(example_folder("character") / "images", tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "python.md").read_text("utf-8"), re.M | re.S)
    assert len(blocks) > 8
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"docs/python.md, block {number + 1}", "exec"), names)
    assert names["adapter"].trigger == "zbk"
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 2
    assert names["verdict"].report.is_file()


@pytest.fixture
def project(tmp_path: Path) -> lorasmith.Project:
    return lorasmith.copy_example("character", tmp_path / "p")


def test_values_are_set_beside_the_comments(project: lorasmith.Project) -> None:
    before = project.opened.file.read_text("utf-8")
    project.configure({"recipe.lr.unet": 4e-4, "lora.trigger": "abc"})
    after = project.opened.file.read_text("utf-8")
    assert project.trigger == "abc"
    assert project.plan().steps > 0
    comments = [line.partition("#")[2] for line in before.splitlines() if "#" in line]
    assert all(comment in after for comment in comments)


def test_what_the_file_cannot_have_is_refused_and_not_written(project: lorasmith.Project) -> None:
    before = project.opened.file.read_bytes()
    with pytest.raises(RecipeError, match="rnak"):
        project.configure({"recipe.rnak": 4})
    with pytest.raises(ProjectError, match="unknown table"):
        project.configure({"receipt.rank": 4})
    with pytest.raises(ProjectError, match="is a value"):
        project.configure({"lora.name.first": "x"})
    assert project.opened.file.read_bytes() == before
    assert project.plan().steps > 0


def notes(*levels: str) -> Work[int]:
    for level in levels:
        yield Note(f"a {level}", level=level)
    return 7


def test_warnings_are_pythons_where_nobody_watches() -> None:
    told: list[lorasmith.Event] = []
    assert run(notes("note", "warning"), told.append) == 7
    assert len(told) == 2
    with pytest.warns(UserWarning, match="a warning") as said:
        assert run(notes("note", "warning"), None) == 7
    assert len(said) == 1


def test_images_are_curated_and_that_is_undone(project: lorasmith.Project) -> None:
    first, *others = project.tag().captions
    project.reject(first, reason="not him")
    assert list(project.tag().captions) == others
    project.keep(first)
    assert list(project.tag().captions) == [first, *others]
    assert len(project.undo(2)) == 2
    shutil.copy(project.root / "images" / first, project.root / "images" / "copy.png")
    assert project.curate(dry_run=True).decisions
    assert len(project.tag().captions) == len(others) + 2
    assert project.curate("D12").decisions
    assert len(project.tag().captions) == len(others) + 1


def test_a_wrong_field_of_a_picture_is_told(project: lorasmith.Project) -> None:
    with pytest.raises(UsageError, match="step: a picture has no such field"):
        lorasmith.draw("x", step=3)
    with pytest.raises(UsageError, match="holds no adapter"):
        project.draw("x")
