"""What is printed can be typed: the program by the way that it was called."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lorasmith.cli import program as module
from lorasmith.cli.program import program
from tests.images.drawings import save_drawings


@pytest.fixture(autouse=True)
def forgotten() -> None:
    program.cache_clear()


def install(folder: Path) -> Path:
    folder.mkdir(parents=True)
    script = folder / "lorasmith"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return script


def test_by_its_name_where_the_shell_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert program() == "lorasmith"


def test_by_its_path_where_the_shell_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = install(tmp_path / "my project" / ".venv" / "bin")
    monkeypatch.setenv("PATH", str(install(tmp_path / "another").parent))
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.chdir(tmp_path / "my project")
    assert program() == ".venv/bin/lorasmith"
    program.cache_clear()
    monkeypatch.chdir(tmp_path / "another")
    assert program() == shlex.quote(str(script))


def test_as_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(Path(module.__file__).parents[1] / "__main__.py")])
    monkeypatch.setattr(sys, "executable", "/opt/py/bin/python3")
    monkeypatch.chdir(tmp_path)
    assert program() == "/opt/py/bin/python3 -m lorasmith"


def test_next_steps_work_as_they_are_printed(tmp_path: Path) -> None:
    """From a folder that holds folders named like what is shipped, as this repository's root does (D1)."""
    save_drawings(tmp_path / "pictures", 6, caption="1girl, smile")
    (tmp_path / "doodle").mkdir()
    given = [
        "new",
        "ann lora",
        "--subject",
        "character",
        "--name",
        "ann",
        "--trigger",
        "annxyz",
        "--images",
        "pictures",
    ]
    made = subprocess.run(
        [sys.executable, "-m", "lorasmith", *given], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = re.findall(r"^  (\S.*? -m lorasmith (?:inspect|tag|plan) .*?)(?:    .*)?$", made.stdout, re.MULTILINE)
    assert len(lines) >= 2
    tagging = f"{shlex.quote(sys.executable)} -m lorasmith tag 'ann lora' --tagger doodle"
    for line in [*lines, tagging]:
        result = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode in (0, 1), result.stderr  # 1: inspect found an error, as it says
        assert "error" not in result.stderr, result.stderr
