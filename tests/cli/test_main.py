"""The door: lazily imported verbs, and errors as one message with an exit code."""

from __future__ import annotations

import inspect
import json
import signal
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from lorasmith.cli import main as door
from lorasmith.errors import RecipeError
from tests.dataset.projects import make_project
from tests.images.drawings import save_drawings

HEAVY = ("torch", "pydantic", "diffusers", "transformers", "onnxruntime", "numpy", "PIL", "tomlkit", "rich")


def test_help_names_every_verb_and_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from lorasmith.cli.main import run\n"
        "code = run(['--help'])\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print('LOADED', loaded, code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    last = done.stdout.splitlines()[-1]
    assert last == "LOADED [] 0"
    assert door.VERBS
    for verb, line in door.VERBS.items():
        assert f"{verb} " in done.stdout
        assert line in done.stdout, "the line is cut short in an 80-column terminal"


def test_the_road_to_a_plan_imports_what_it_needs(tmp_path: Path) -> None:
    """Thirty images are inspected, captioned and planned in the time that a few imports take."""
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 3, caption="zbk, red hair, smile")
    heavy = ("torch", "diffusers", "transformers", "scipy", "pandas", "sklearn", "onnxruntime", "jinja2", "yaml", "ray")
    script = (
        "import sys\n"
        "from multiprocessing import active_children\n"
        "from lorasmith.cli.main import run\n"
        f"codes = [run([verb, {str(project.root)!r}, '--json']) for verb in ('inspect', 'tag', 'plan')]\n"
        f"loaded = [name for name in {heavy!r} if name in sys.modules]\n"
        "print('LOADED', loaded, active_children(), codes, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1].startswith("LOADED [] [] [")


@pytest.mark.parametrize("verb", door.VERBS)
def test_the_table_says_what_the_command_says(verb: str) -> None:
    name = f"lorasmith.cli.commands.{verb}"
    assert find_spec(name), f"{verb} is promised but not there"
    module = import_module(name)
    text = module.app.info.help if hasattr(module, "app") else inspect.getdoc(module.command)
    assert text
    assert text.splitlines()[0] == door.VERBS[verb]
    assert "Example" in text or hasattr(module, "app")


def _with_command(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    def command() -> None:
        raise fault

    monkeypatch.setattr(door, "import_module", lambda _: SimpleNamespace(command=command))


def test_an_error_is_one_message_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with_command(monkeypatch, RecipeError("rank = 0: must be at least 1.", where="x/lora.toml", hint="Say 16."))
    assert door.run(["plan"]) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "error: x/lora.toml: rank = 0: must be at least 1.\nSay 16.\n"


def test_json_callers_get_the_error_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(json: bool = False) -> None:
        assert json
        raise RecipeError("rank = 0: must be at least 1.", where="[recipe]")

    monkeypatch.setattr(door, "import_module", lambda _: SimpleNamespace(command=command))
    assert door.run(["plan", "--json"]) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert json.loads(shown.err) == {
        "error": {
            "kind": "RecipeError",
            "message": "rank = 0: must be at least 1.",
            "where": "[recipe]",
            "field": None,
            "hint": None,
            "exit_code": 4,
        }
    }


def test_ctrl_c_is_130_with_a_hint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _with_command(monkeypatch, KeyboardInterrupt())
    assert door.run(["train"]) == 130
    assert "--resume" in capsys.readouterr().err


def test_a_full_disk_is_said_plainly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _with_command(monkeypatch, OSError(28, "No space left on device", "/full/x.png"))
    assert door.run(["plan"]) == 11
    assert "/full/x.png: cannot write: No space left on device." in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_command(monkeypatch, ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        door.run(["plan"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["--verion"], "--version"),
        (["plan", "--nonsense"], "lorasmith plan --help"),
    ],
)
def test_a_wrong_call_suggests_the_way_out(
    arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with_command(monkeypatch, AssertionError("not reached"))
    assert door.run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert expected in shown.err


def test_a_commands_own_exit_code_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    _with_command(monkeypatch, typer.Exit(1))
    assert door.run(["inspect"]) == 1


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("lorasmith ")


@pytest.mark.parametrize("alone", [True, False])
def test_ctrl_c_is_heard_again_in_a_session_of_its_own(alone: bool) -> None:
    """As under a shell's `&`, which has both processes ignore it."""
    script = (
        "import signal\n"
        "from lorasmith.cli.main import hear_interruptions\n"
        "hear_interruptions()\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=alone)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.stdout.strip() == str(alone)
