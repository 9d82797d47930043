"""Prompt editing: ``[from:to:when]``, ``[to:when]``, ``[from::when]`` and alternation ``[a|b]``, nested at will.

The grammar that is matched (its bracketed forms may nest; what is outside them may hold stray brackets and colons):

    prompt      ( "(" prompt [":" prompt] ")" | "[" prompt "]" | scheduled | alternating | words )*
    scheduled   "[" [prompt ":"] prompt ":" number "]"
    alternating "[" prompt ("|" [prompt])+ "]"

A bracket that fits no form is literal, and so is every bracket around it. A "|" outside an alternation makes the
whole prompt literal, as does a backslash with nothing behind it on its line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise, repeat
from typing import TypeAlias

from lorasmith.errors import PromptError
from lorasmith.prompts.joining import join_texts

_TOKEN = re.compile(r"(?:[^\\\[\]():|]|\\.)+|[\[\]():|]|\\")
_NUMBER = re.compile(r"\s*([+-]?(?:\d+[eE][+-]?\d+|(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+))\s*")


@dataclass(slots=True)
class _Switch:
    """`last` is the last step of `before`, set once the picture's steps are known."""

    before: _Parts
    after: _Parts
    number: str
    last: int = 0

    def at(self, step: int) -> _Parts:
        return self.before if step <= self.last else self.after


@dataclass(slots=True)
class _Alternation:
    options: list[_Parts]

    def at(self, step: int) -> _Parts:
        return self.options[(step - 1) % len(self.options)]


_Part: TypeAlias = "str | _Switch | _Alternation"
#: A stretch of the prompt; one that no step changes is its text.
_Parts: TypeAlias = "str | list[_Part]"


@dataclass
class _Open:
    """An open bracket: where it stands among the parts, and where its colons and bars stand."""

    bracket: str
    start: int
    colons: list[int] = field(default_factory=list)
    bars: list[int] = field(default_factory=list)


def parse_schedule(text: str, steps: int, hires_steps: int | None = None) -> list[tuple[int, str]]:
    """The texts in force and the last step of each, from step 1: ``a [b:3]`` in 10 steps is (3, "a "), (10, "a b").

    A number without "." is a step; with "." it is a fraction of the steps (so ``:1.0`` never switches, ``:1`` does
    after the first step). With `hires_steps` the schedule is that of the second pass: a step counts from the first
    pass's start, and 1.5 is half of the second pass. Raises PromptError when there is less than one step.
    """
    if steps < 1 or (hires_steps is not None and hires_steps < 1):
        raise PromptError("a picture needs at least one step.", where="prompt")
    clock = _Clock(steps, hires_steps)
    parts = _parse(text)
    if parts is None:
        return [(clock.steps, text)]
    joined = _join(parts)
    if isinstance(joined, str):
        return [(clock.steps, joined)]
    ends = _ends(joined, clock)
    columns = [repeat(part, len(ends)) if isinstance(part, str) else _texts_at(part, ends) for part in joined]
    return list(zip(ends, map("".join, zip(*columns, strict=True)), strict=True))


class _Clock:
    """Turns a switch's number into the last step of its first text."""

    def __init__(self, steps: int, hires_steps: int | None) -> None:
        self.steps = steps if hires_steps is None else hires_steps
        self._passed = 0 if hires_steps is None else steps
        self._fraction_passed = 0.0 if hires_steps is None else 1.0

    def when(self, number: str) -> int:
        value = float(number)
        if "." in number:
            value = (value - self._fraction_passed) * self.steps
        else:
            value -= self._passed
        return int(max(0.0, min(float(self.steps), value)))


def _parse(text: str) -> list[_Part] | None:
    """The parts, in one pass with one stack, or None where the whole text is literal."""
    parts: list[_Part] = []
    stack: list[_Open] = []
    for match in _TOKEN.finditer(text):
        token = match.group(0)
        if token in ("(", "["):
            stack.append(_Open(token, len(parts)))
            parts.append(token)
        elif token in (")", "]"):
            parts.append(token)
            if stack and stack[-1].bracket + token in ("()", "[]") and _close(parts, stack[-1]):
                stack.pop()
            elif any(group.bars for group in stack):
                return None
            else:
                stack.clear()  # nothing that encloses a stray bracket can be a form
        elif token == ":":
            if stack:
                stack[-1].colons.append(len(parts))
            parts.append(token)
        elif token == "|":
            if not stack or stack[-1].bracket == "(":
                return None
            stack[-1].bars.append(len(parts))
            parts.append(token)
        elif token == "\\":
            return None
        else:
            parts.append(token)
    return None if any(group.bars for group in stack) else parts


def _close(parts: list[_Part], group: _Open) -> bool:
    """Fold the group at the end of `parts` into one part if it is a form; a part is moved at most once per fold."""
    if group.bracket == "(":
        return len(group.colons) <= 1
    if group.bars:
        if group.colons:
            return False
        edges = [group.start, *group.bars, len(parts) - 1]
        options = [_join(parts[start + 1 : end]) for start, end in pairwise(edges)]
        parts[group.start :] = [_Alternation(options)]
        return True
    if not group.colons:
        return True
    if len(group.colons) > 2 or group.colons[-1] != len(parts) - 3:
        return False
    number = parts[-2]
    match = _NUMBER.fullmatch(number) if isinstance(number, str) else None
    if match is None:
        return False
    if len(group.colons) == 1:
        before, after = [], parts[group.start + 1 : group.colons[0]]
    else:
        before = parts[group.start + 1 : group.colons[0]]
        after = parts[group.colons[0] + 1 : group.colons[1]]
    parts[group.start :] = [_Switch(_join(before), _join(after), match.group(1))]
    return True


def _join(parts: list[_Part]) -> _Parts:
    """The same with neighbouring texts as one, so that nothing is put together again for every step."""
    joined: list[_Part] = join_texts(parts)
    if not joined:
        return ""
    return joined[0] if len(joined) == 1 and isinstance(joined[0], str) else joined


def _ends(parts: _Parts, clock: _Clock) -> list[int]:
    """Every step at which some text ends, even where an outer switch hides it; tells each switch its last step."""
    ends = {clock.steps}
    waiting = [parts]
    while waiting:
        inside = waiting.pop()
        if isinstance(inside, str):
            continue
        for part in inside:
            if isinstance(part, _Switch):
                part.last = clock.when(part.number)
                if part.last >= 1:
                    ends.add(part.last)
                waiting += [part.before, part.after]
            elif isinstance(part, _Alternation):
                ends.update(range(1, clock.steps + 1))
                waiting += part.options
    return sorted(ends)


def _texts_at(part: _Switch | _Alternation, ends: list[int]) -> list[str]:
    """The text of one form at each of `ends`."""
    if isinstance(part, _Switch):
        count = bisect_right(ends, part.last)
        if isinstance(part.before, str) and isinstance(part.after, str):
            return [part.before] * count + [part.after] * (len(ends) - count)
    return [chosen if isinstance(chosen := part.at(end), str) else _text_at(chosen, end) for end in ends]


def _text_at(parts: list[_Part], step: int) -> str:
    texts: list[str] = []
    waiting = [iter(parts)]
    while waiting:
        for part in waiting[-1]:
            chosen = part if isinstance(part, str) else part.at(step)
            if isinstance(chosen, str):
                texts.append(chosen)
            else:
                waiting.append(iter(chosen))
                break
        else:
            waiting.pop()
    return "".join(texts)
