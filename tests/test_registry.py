"""Registries: the folder is the list, and more may be registered."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lorasmith.registry import Registry


@dataclass(frozen=True)
class Thing:
    name: str


@pytest.fixture
def things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Thing]:
    folder = tmp_path / "things_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "machinery.py").write_text("")
    for name in ("two", "one"):
        (folder / f"{name}.py").write_text(
            f"from tests.test_registry import Thing\n\nTHING = Thing({name!r})\n", encoding="utf-8"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    return Registry("a thing", folder.name, "THING")


def test_the_folder_is_the_list(things: Registry[Thing]) -> None:
    assert list(things) == ["one", "two"]
    assert things["one"].name == "one"
    assert things.get("machinery") is None


def test_more_may_be_registered_and_taken_away(things: Registry[Thing]) -> None:
    three = things.register(Thing("three"))
    assert list(things) == ["one", "two", "three"]
    with pytest.raises(ValueError, match="a thing three"):
        things.register(Thing("three"))
    things.remove(three)
    assert len(things) == 2


def test_the_nearest_name_is_suggested(things: Registry[Thing]) -> None:
    assert things.suggest("oen") == 'Did you mean "one"?'
    assert things.suggest("xyz") == "Known: one, two."


def test_what_algorithms_say_of_themselves_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from lorasmith.adapters.algorithms import ALGORITHMS\n"
        "assert ALGORITHMS['lokr'].options().factor == -1\n"
        "assert len(ALGORITHMS) > 10\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
