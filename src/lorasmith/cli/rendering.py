"""How events and documents reach a terminal: a progress bar on stderr, or one JSON line an event on stdout.

The core yields events (`lorasmith.events`); this module is the only one that draws them. Nothing here decides
anything.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lorasmith.events import Done, Event, Note, Progress, SampleDrawn, SnapshotSaved, StepDone, Work, finish

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

T = TypeVar("T")
#: Seconds between two lines of progress where there is no terminal.
LOG_SECONDS = 10.0


def show(work: Work[T], json: bool = False, *, json_events: bool = False) -> T:
    """Run `work` to its end and give its result, drawing its events.

    A person sees progress bars with the time left on stderr. With `json` nothing but warnings is said (on stderr),
    since stdout belongs to the command's one document; with `json_events` every event is a JSON line on stdout.
    """
    if json_events:
        return finish(work, lambda event: print_json(event.as_json(), indent=None))
    if json:
        return finish(work, _warn)
    with _Screen() as screen:
        return finish(work, screen.see)


def print_json(document: Mapping[str, Any], indent: int | None = 2) -> None:
    """Write one JSON document to stdout, at once: paths as strings, no NaN, no escapes of letters."""
    text = json.dumps(document, ensure_ascii=False, indent=indent, default=_plain, allow_nan=False)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def count_images(count: int) -> str:
    """``1 image``, ``3 images``."""
    return "1 image" if count == 1 else f"{count} images"


def say(line: str, style: str | None = None) -> None:
    """Lines for a person on stdout, styled when it is a terminal; every letter means itself, and a file's name cannot
    speak to the terminal."""
    _write_line(line, style, stderr=False)


def complain(line: str, hint: str | None = None, subject: str = "") -> None:
    """An error on stderr: what it is about, what is wrong, what to do."""
    if not sys.stderr.isatty():
        about = f"{subject}: " if subject else ""
        _write_line(f"error: {about}{line}" + (f"\n{hint}" if hint else ""), None, stderr=True)
        return
    from lorasmith.cli.console import open_console, plain

    text = plain("error: ", "bold red")
    text.append_text(plain(f"{subject}: " if subject else "", "bold")).append_text(plain(line))
    if hint:
        text.append_text(plain(f"\n{hint}", "cyan"))
    open_console(stderr=True, soft_wrap=True).print(text)


def draw(drawn: RenderableType, soft_wrap: bool = False) -> None:
    """Something drawn (a table, a group of lines) on stdout."""
    from lorasmith.cli.console import open_console

    open_console(soft_wrap=soft_wrap).print(drawn)


def give_text(text: str) -> None:
    """A text that was asked for, to the letter; only a terminal is spared what would speak to it."""
    if sys.stdout.isatty():
        say(text)
    else:
        sys.stdout.write(text + "\n")


def _write_line(line: str, style: str | None, *, stderr: bool) -> None:
    from lorasmith.cli.console import open_console, plain, spell_controls

    stream = sys.stderr if stderr else sys.stdout
    if style is None or not stream.isatty():
        stream.write(spell_controls(line) + "\n")
    else:
        open_console(stderr, soft_wrap=True).print(plain(line, style))


def _plain(value: object) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "as_json"):
        return value.as_json()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _warn(event: Event) -> None:
    if isinstance(event, Note) and event.level != "note":
        _write_line(_note_text(event), None, stderr=True)


def _note_text(note: Note) -> str:
    rule = f" [{note.rule}]" if note.rule else ""
    return f"{note.level}: {note.message}{rule}"


class _Screen:
    """Progress bars on stderr, one a stage; other events as lines above them."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bars

        from lorasmith.cli.console import open_console, plain

        console = open_console(stderr=True, soft_wrap=True)
        self._plain = plain
        self._bars: Bars = Bars(
            TextColumn("{task.description:<18}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._logged = time.monotonic()

    def __enter__(self) -> _Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def see(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._advance(event.stage, event.done, event.total, _left(event.eta))
        elif isinstance(event, StepDone):
            stage = f"training {event.variant}".strip()
            self._advance(stage, event.step, event.steps, _step_note(event))
        elif isinstance(event, Note):
            self._print(_note_text(event), "yellow" if event.level != "note" else "")
        elif isinstance(event, SnapshotSaved):
            self._print(f"snapshot at step {event.step}: {event.path}")
        elif isinstance(event, SampleDrawn):
            self._print(f"sample at step {event.step}: {event.path}")
        elif isinstance(event, Done):
            self._print(f"trained {event.steps} steps in {_span(event.seconds)}: {event.adapter}", "green")

    def _print(self, line: str, style: str = "") -> None:
        if self._console.is_terminal:
            self._console.print(self._plain(line, style))
        else:
            _write_line(line, None, stderr=True)

    def _advance(self, stage: str, done: int, total: int, note: str) -> None:
        if not self._console.is_terminal:
            self._log(stage, done, total, note)
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, note=note)
        self._bars.update(self._tasks[stage], completed=done, total=total, note=note)

    def _log(self, stage: str, done: int, total: int, note: str) -> None:
        """Where nobody watches a bar (a file, a pipe): a line now and then, and one at a stage's end."""
        now = time.monotonic()
        if done >= total or now - self._logged >= LOG_SECONDS:
            self._logged = now
            self._print(f"{stage} {done}/{total}  {note}".rstrip())


def _step_note(event: StepDone) -> str:
    """``loss 0.0412 (0.11 0.04 0.02 0.01)  3.1 rows/s  1.2 GB  2 min 05 s left``; in brackets by timestep band."""
    bands = " ".join(f"{loss:.2g}" for loss in (event.bands or {}).values())
    speed = f"  {event.speed:.3g} rows/s" if event.speed else ""
    memory = f"  {event.memory / 1e9:.1f} GB" if event.memory else ""
    return f"loss {event.loss:.4f}{f' ({bands})' if bands else ''}{speed}{memory}  {_left(event.eta)}"


def _left(eta: float | None) -> str:
    return "" if eta is None else f"{_span(eta)} left"


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
