"""C1: the terminal prints what it is given to the byte, also into files and pipes.

Rich reads ``:dog:`` as an emoji and ``[red]`` as a style unless told otherwise (rich, `console.py`,
`Console.render_str`; `_emoji_replace.py`), strips some letters (`control.py`, `strip_control_codes`), makes tabs spaces
(`text.py`, `Text.wrap`) and breaks or cuts table cells at 80 columns where there is no terminal.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lorasmith.cli.console import plain
from lorasmith.cli.main import run
from lorasmith.cli.rendering import complain, draw, give_text, say, show
from lorasmith.events import Note, Progress, Work
from tests.test_layers import SOURCE

TEXTS = (
    "[cat:dog:0.5]",
    ":dog: :smile: :100:",
    "[red]a[/red] [bold]b [/]",
    r"a \(b\) \[c\] \\ d",
    "a  b   c",
    "[link=file:///x]y[/link] https://a.b 12 'q' True",
    "é ü 日本語 \u00a0 🐶 (:3)",
    "word " * 60 + "end",
    "a\tb",
)


@pytest.mark.parametrize("text", TEXTS)
def test_lines_are_printed_to_the_byte(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    say(text, style="bold")
    give_text(text)
    assert capsys.readouterr().out == f"{text}\n" * 3


@pytest.mark.parametrize("text", TEXTS)
def test_notes_and_errors_are_printed_to_the_byte(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> Work[None]:
        yield Note(text, level="warning")
        yield Note(text)
        yield Progress(text, 1, 1)

    show(work())
    show(work(), json=True)
    complain(text, text, text)
    assert capsys.readouterr().err == (
        f"warning: {text}\nnote: {text}\n{text} 1/1\nwarning: {text}\nerror: {text}: {text}\n{text}\n"
    )


@pytest.mark.parametrize("text", [text for text in TEXTS if "\t" not in text])
def test_tables_keep_their_cells(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    table = Table("a", "b", box=None, show_header=False, padding=0)
    table.add_row(text, "|")
    table.add_row(plain(text), "|")
    draw(table)
    assert capsys.readouterr().out == f"{text}|\n" * 2


def test_a_text_that_was_asked_for_keeps_every_letter(capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(map(chr, range(1, 0x250)))
    give_text(text)
    assert capsys.readouterr().out == f"{text}\n"


@pytest.mark.parametrize(
    ("template", "prompts"),
    [
        ("[cat:dog:0.5] {a|b}", "[cat:dog:0.5] a\n[cat:dog:0.5] b\n"),
        (":dog: {a|b} [red]x[/red]", ":dog: a [red]x[/red]\n:dog: b [red]x[/red]\n"),
    ],
)
def test_templates_are_expanded_to_the_byte(template: str, prompts: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prompt", "expand", template, "--mode", "combinatorial"]) == 0
    assert capsys.readouterr().out == prompts


def test_a_prompt_is_taken_apart_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prompt", "parse", r"(it's :dog: \(x\):1.3)"]) == 0
    assert r"1 x '(it's :dog: \(x\):1.3)'" in capsys.readouterr().out


def test_names_in_lists_are_printed_to_the_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Captions and file names of a project, wider than 80 columns, through the commands that draw tables."""
    from PIL import Image

    monkeypatch.setenv("COLUMNS", "80")
    images = tmp_path / "images"
    images.mkdir()
    name, caption = "[red] :dog: " + "x" * 90 + ".png", "zbk, [cat:dog:0.5], :dog:, " + "long tag " * 20 + "end"
    Image.new("RGB", (64, 64), "red").save(images / name)
    (images / name).with_suffix(".txt").write_text(caption)
    project = tmp_path / ":dog: [b]"
    assert run(["new", str(project), "--name", "zbk", "--images", str(images)]) == 0
    assert ":dog: [b]" in capsys.readouterr().out
    assert run(["tag", str(project)]) == 0
    shown = capsys.readouterr().out
    assert "[red] :dog: " + "x" * 90 in shown
    assert ":dog:" in shown.replace(name, "")
    assert "\N{DOG FACE}" not in shown
    run(["inspect", str(project)])
    assert "\N{DOG FACE}" not in capsys.readouterr().out
    assert run(["plan", str(project / "[none] :dog:")]) != 0
    assert "[none] :dog:" in capsys.readouterr().err


def test_a_terminal_is_given_the_same_letters_and_nothing_that_speaks_to_it() -> None:
    """On a pseudo-terminal; what is a style there goes round the text, not into it."""
    ours, theirs = pty.openpty()
    code = (
        "from lorasmith.cli.rendering import say, give_text, draw, complain\n"
        "from rich.table import Table\n"
        "say('[cat:dog:0.5] :dog:', style='bold'); say('[a] :dog:'); give_text('x\\x1b[31m:dog:')\n"
        "table = Table(box=None, show_header=False); table.add_row('[red]:dog:\\x1b]0;t\\x07'); draw(table)\n"
        "complain(':dog: [b]\\x1b')\n"
    )
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    subprocess.run([sys.executable, "-c", code], stdout=theirs, stderr=theirs, check=True, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(ours)
    letters = re.sub(r"\x1b\[[\d;]*m", "", shown.decode())
    assert [line.rstrip() for line in letters.splitlines()] == [
        "[cat:dog:0.5] :dog:",
        "[a] :dog:",
        r"x\x1b[31m:dog:",
        r" [red]:dog:\x1b]0;t\x07",
        r"error: :dog: [b]\x1b",
    ]


def test_the_command_line_has_one_console() -> None:
    files = sorted((SOURCE / "cli").rglob("*.py"))
    assert len(files) > 20
    found = [file.name for file in files if re.search(r"(?<!_)\bConsole\(|\bText\(|markup=True", file.read_text())]
    assert found == ["console.py"]
