"""The terminal, which prints what it is given: no markup, no emoji, nothing cut or broken into lines in a file or pipe.

All drawn output of the command line goes through `open_console`; plain lines need no more than `spell_controls`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.style import StyleType
from rich.text import Text

#: Columns where nobody looks at a screen: tables are as wide as what is in them.
PIPE_WIDTH = 100_000
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def spell_controls(text: str) -> str:
    r"""The text with letters that would speak to a terminal spelt out (``\x1b``); tabs and line ends stay."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def plain(text: str, style: StyleType = "") -> Text:
    """A user's text as what it is, for tables and lines: rich drops some letters of a bare one."""
    return Text(spell_controls(text), style)


class _Console(Console):
    def render_str(self, text: str, **given: Any) -> Text:
        return super().render_str(spell_controls(text), **given)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(spell_controls(segment.text), segment.style)


def open_console(stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Stdout or stderr, as wide as the terminal, or as what is drawn where there is none; `soft_wrap` leaves long lines
    to the terminal."""
    console = _Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=soft_wrap)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console
