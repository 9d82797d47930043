"""How templates are written: the marks, and what can be told of a text without reading it as a template."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lorasmith.errors import PromptError

COMMENT = re.compile(r"\\.|(?:^|(?<=\s))#[^\n]*", re.MULTILINE | re.DOTALL)
_BRACE = re.compile(r"\\.|[{}]|\$\$", re.DOTALL)
TOKEN = re.compile(r"\\[$%]\{|\\.|[$%]?\{|\}|\||\$\$|_{2,}|[<>]", re.DOTALL)
HEAD = re.compile(r"\s*([~!@])?\s*(?:(?:(\d{1,9})(?:(-)(\d{1,9})?)?|-(\d{1,9}))\s*\$\$(?:([^${}\n]*)\$\$)?)?")
WEIGHT = re.compile(r"\s*(?:(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})::)?")
VARIABLE = re.compile(r"\s*([^\W\d][\w-]*)\s*(\??=!?|:|\Z)\s*")
WILDCARD = re.compile(
    r"__(?P<method>\s*[~!@])?"
    r"(?P<path>(?>(?:[^_{}|$#()<>\n\\]|_(?!_)|\$?\{[^{}]*\})+))"
    r"(?:\((?P<values>[^()]*(?:\([^()]*\)[^()]*)*)\)[ \t]*)?__"
)
_PARAMETER = re.compile(r"\s*([^\W\d][\w-]*)\s*=")
SPECIAL = re.compile(r"[{}\\#|]|__")
SPLIT = re.compile(r"[\s,](?![^{}]*\})")  # what no path has outside of brackets
ESCAPABLE = frozenset("{}|$%#_")


def match_braces(text: str) -> tuple[dict[int, int], set[int]]:
    """The closing position of every `{` that has one, and which of them hold a `$$` of their own."""
    closes: dict[int, int] = {}
    wraps: set[int] = set()
    stack: list[int] = []
    for match in _BRACE.finditer(text):
        token = match[0]
        if token == "{":
            stack.append(match.start())
        elif token == "}":
            if stack:
                closes[stack.pop()] = match.start()
        elif token == "$$" and stack:
            wraps.add(stack[-1])
    return closes, wraps


def skip_space(text: str, at: int) -> int:
    """The first position from `at` on without white space."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def clean_path(path: str) -> str:
    """A wildcard's path with plain single slashes."""
    return re.sub(r"[\\/]+", "/", path).strip("/ ")


def split_parameters(text: str) -> Iterator[tuple[str, str]]:
    """``a=x, b={y|z, w}``: names and raw values; a comma within brackets does not end a value."""
    start, depth, parts = 0, 0, []
    for at, letter in enumerate(text):
        if letter in "{(":
            depth += 1
        elif letter in "})":
            depth -= 1
        elif letter == "," and depth <= 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    for part in parts:
        name = _PARAMETER.match(part)
        if name is not None:
            yield name[1], part[name.end() :].strip()
        elif part.strip():
            raise PromptError(
                f'"{part.strip()}" sets no variable of the wildcard.', where="template", hint="Write __name(x=red)__."
            )
