"""The core speaks of no command and of no option: those are the command line's words (remedies.py)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lorasmith.cli.main import VERBS
from tests.test_layers import SOURCE

#: Rooms of faces. The server names options where it speaks of how it was started.
FACES = ("cli", "server")
#: Words of other programs' command lines, and the call of our own as a program.
OTHERS = {
    "dataset/collecting.py": ("--write-metadata", "--destination="),
    "tags/building.py": ("--dataset_config",),
    "recipe/exchange/kohya/writing.py": ("--config_file",),
    "recipe/memory.py": ("--query-gpu=", "--format="),
    "jobs/detached.py": ('"--device"', '"--json"'),
    "jobs/worker.py": ('"--probe"', '"--resume"', '"--set"', '"--run"', '"--json"'),
}
COMMAND = re.compile(rf"\blorasmith ({'|'.join(VERBS)})\b")
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*=?")
CORE = [file for file in sorted(SOURCE.rglob("*.py")) if file.relative_to(SOURCE).parts[0] not in FACES]


def spoken(text: str, allowed: tuple[str, ...]) -> list[str]:
    for words in allowed:
        text = text.replace(words, "")
    return [found[0] for pattern in (COMMAND, OPTION) for found in pattern.finditer(text)]


def test_the_test_sees_commands_and_options() -> None:
    assert spoken('"Train: lorasmith train x --resume"', ()) == ["lorasmith train", "--resume"]
    assert spoken("from lorasmith import train  # a--b", ()) == []
    assert len(CORE) > 200


@pytest.mark.parametrize("file", CORE, ids=lambda file: str(file.relative_to(SOURCE)))
def test_the_core_speaks_of_no_command_and_no_option(file: Path) -> None:
    allowed = OTHERS.get(file.relative_to(SOURCE).as_posix(), ())
    assert spoken(file.read_text("utf-8"), allowed) == []
