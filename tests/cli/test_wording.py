"""Remedies as the command line words them: every command that is told exists and takes what it is told with."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import typer

from lorasmith.cli.main import VERBS, build_app, run
from lorasmith.cli.wording import COMMANDS, command_words
from lorasmith.remedies import Action, Do, Give, Install, Set


@pytest.fixture(scope="module")
def root() -> Any:
    return typer.main.get_command(build_app(set(VERBS)))


@pytest.mark.parametrize("action", list(Action), ids=lambda action: action.name)
def test_every_action_is_a_command_and_its_options_are_there(action: Action, root: Any) -> None:
    path, patterns = COMMANDS[action]
    command = root
    for word in path.split():
        command = command.commands[word]
    command = getattr(command, "commands", {}).get("draw", command)  # of a group the one that needs no name
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    wanted = {found for pattern in patterns.values() for found in re.findall(r"--[a-z-]+", pattern)}
    assert wanted <= options, f"{path} has no {wanted - options}"


def test_commands_are_such_as_can_be_typed() -> None:
    assert command_words(Do(Action.TRAIN, project="my lora", resume=True)) == "lorasmith train 'my lora' --resume"
    assert command_words(Do(Action.KEEP, project="p", images="*")) == 'lorasmith curate keep p "*"'
    assert command_words(Do(Action.COLLAGE, project="PROJECT", images=("IMAGE", "IMAGE"))) == (
        "lorasmith curate collage PROJECT IMAGE IMAGE"
    )
    assert command_words(Do(Action.CROP)) == "lorasmith curate crop"
    assert command_words(Give("full_size")) == "--full-size"
    assert command_words(Give("init", "FILE")) == "--init FILE"
    assert command_words(Set("rank", 16)) == "--set rank=16"
    assert command_words(Install("video")) == 'pip install "lorasmith[video]"'


def test_an_argument_that_a_command_does_not_take_is_a_fault() -> None:
    with pytest.raises(ValueError, match="takes no colour"):
        command_words(Do(Action.TRAIN, colour="red"))


def test_the_field_of_an_error_is_said_as_an_option(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["add", str(tmp_path), "--images", str(tmp_path / "none")]
    assert run([*call, "--json"]) != 0
    assert "field" in json.loads(capsys.readouterr().err)["error"]


def test_what_stands_without_an_option_is_called_as_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["library", "get", "nothing at all"]) == 2
    said = capsys.readouterr().err
    assert "REF: " in said
    assert "--reference" not in said
