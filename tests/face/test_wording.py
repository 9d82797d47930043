"""Remedies as the library words them: calls that are there and take what they are told with."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import lorasmith
from lorasmith.face.wording import CALLS, call_words
from lorasmith.remedies import Action, Do, Give, Install, Set

PROJECT = lorasmith.Project


@pytest.mark.parametrize("action", list(CALLS), ids=lambda action: action.name)
def test_every_call_is_there_and_takes_its_arguments(action: Action) -> None:
    function, patterns = CALLS[action]
    room, _, name = function.partition(".")
    called = getattr(PROJECT if room == "project" else lorasmith, name)
    call = ast.parse(call_words(Do(action, **dict.fromkeys(patterns, 1))), mode="eval").body
    assert isinstance(call, ast.Call)
    assert ast.unparse(call.func) == function
    parameters = inspect.signature(called).parameters
    given = {keyword.arg for keyword in call.keywords}
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    assert takes_all or given <= parameters.keys()


def test_calls_are_such_as_can_be_typed() -> None:
    assert call_words(Do(Action.TRAIN, project="my lora", resume=True)) == "project.train(resume=True)"
    assert call_words(Do(Action.NEW, project="FOLDER", images="IMAGES")) == (
        'lorasmith.create_project("FOLDER", images=["IMAGES"])'
    )
    assert call_words(Do(Action.EXAMINE, project="p", pictures=800)) == 'project.examine(settings={"pictures": 800})'
    assert call_words(Do(Action.CROP, project="p")) == "crop an image (project = p)", "there is no such call"
    assert call_words(Do(Action.TAG, explain="IMAGE")) == "tag the images (explain = IMAGE)", "nor one with that"
    assert call_words(Give("base", "doodle")) == 'base="doodle"'
    assert call_words(Give("resume")) == "resume"
    assert call_words(Set("rank", 16)) == '{"rank": 16}'
    assert call_words(Install("video")) == 'pip install "lorasmith[video]"'


def test_who_uses_the_library_is_told_calls(tmp_path: Path) -> None:
    code = (
        "import lorasmith\n"
        "try:\n    lorasmith.open_project('nowhere')\n"
        "except lorasmith.LorasmithError as error:\n    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert 'Make a project with: lorasmith.create_project("FOLDER", images=["IMAGES"])' in ran.stdout
