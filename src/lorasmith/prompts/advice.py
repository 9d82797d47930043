"""What a prompt says that its author may not have meant, and what it forgets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from lorasmith.errors import PromptError
from lorasmith.prompts.attention import parse_attention
from lorasmith.prompts.compatibility import Compat
from lorasmith.prompts.networks import unknown_tag_error
from lorasmith.prompts.prompt import ParsedPrompt, parse
from lorasmith.remedies import Action, Do

Level = Literal["error", "warning", "note"]
STRONG = 1.6  # attention weights beyond it usually break pictures

_NEVER = re.compile(r"\[[^\[\]]*:\s*(\d*\.\d*)\s*\]")
_DECIMAL_COMMA = re.compile(r"\(([^()]*:\s*\d+,\d+)\s*\)")
_TWO_POINTS = re.compile(r"\(([^()]*:\s*[+-]?\d*\.\d*\.[.\d]*)\s*\)")
_TRAILING = re.compile(r":\s*[-+]?[\d.]+\s*$")
_PIECES = re.compile(r"\\.|<(?:lora|lyco):([^:>]+)[^>]*>|[()\[\]]", re.DOTALL)
_DYNAMIC = re.compile(r"\{[^{}]*\|[^{}]*\}|__[\w*/ -]+__|\$\{\w")


@dataclass(frozen=True)
class Advice:
    """One thing worth knowing about a prompt."""

    level: Level
    message: str
    rule: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """Every field by its name."""
        return {"level": self.level, "message": self.message, "rule": self.rule}


@runtime_checkable
class Adapters(Protocol):
    """Who knows which adapters there are (`lorasmith.adapters.catalogue.Catalogue`)."""

    def trigger(self, name: str) -> str:
        """The trigger phrase of the adapter that a prompt calls so, "" where none is recorded. Raises PromptError."""


def advise(
    text: str, steps: int, compat: Compat = None, adapters: Adapters | None = None
) -> tuple[ParsedPrompt | None, tuple[Advice, ...]]:
    """The prompt read, or None where it cannot be, with everything worth saying about it, worst first.

    Every face asks here. `adapters` is None where nobody knows which there are.
    """
    try:
        prompt = parse(text, steps, compat)
    except PromptError as fault:
        return None, (Advice("error", f"{fault.message} {fault.hint or ''}".strip()),)
    found = [
        *_adapters(prompt, adapters),
        *_weights(prompt),
        *_brackets(prompt.text),
        *_schedules(text, prompt, steps),
    ]
    order = ("error", "warning", "note")
    return prompt, tuple(sorted(found, key=lambda advice: order.index(advice.level)))


def _adapters(prompt: ParsedPrompt, adapters: Adapters | None) -> list[Advice]:
    found = [Advice("error", unknown_tag_error(tag).message) for tag in prompt.unknown]
    words = _plain(prompt.text)
    for network in prompt.networks:
        if not (network.te or network.unet):
            found.append(Advice("note", f'adapter "{network.name}" has strength 0: it does nothing.', "U1"))
        if adapters is None:
            continue
        try:
            trigger = adapters.trigger(network.name).strip()
        except PromptError as fault:
            found.append(Advice("error", f"{fault.message} {fault.hint or ''}".strip(), "U1"))
            continue
        told = f"{words} {_plain(network.apart)}" if network.apart else words
        missing = [part.strip() for part in trigger.split(",") if part.strip() and _plain(part) not in told]
        if missing and (network.te or network.unet):
            found.append(
                Advice(
                    "warning", f'adapter "{network.name}" is called without its trigger "{", ".join(missing)}".', "U2"
                )
            )
    return found


def _in_brackets(text: str) -> list[str]:
    """The adapters whose tags stand within brackets that are closed, by name, once each."""
    opened: dict[str, list[int]] = {")": [], "]": []}
    places: list[tuple[int, str]] = []
    found: list[str] = []
    for match in _PIECES.finditer(text):
        piece, name = match[0], match[1]
        if name is not None:
            places.append((match.start(), name.strip()))
        elif piece in "([":
            opened[")" if piece == "(" else "]"].append(match.start())
        elif opened.get(piece):
            start = opened[piece].pop()
            while places and places[-1][0] > start:
                found.append(places.pop()[1])
    return list(dict.fromkeys(reversed(found)))


def _weights(prompt: ParsedPrompt) -> list[Advice]:
    found = []
    for part in prompt.subprompts:
        for span in parse_attention(part.schedule[-1][1], prompt.compat):
            if not span.is_break and span.weight > STRONG:
                text = " ".join(span.text.split())[:40]
                found.append(
                    Advice("note", f'"{text}" weighs {span.weight:.3g}; beyond {STRONG} pictures break.', "U3")
                )
    return found


def _brackets(text: str) -> list[Advice]:
    found = []
    bare = re.sub(r"\\.", "", text, flags=re.DOTALL)
    for opening, closing in ("()", "[]"):
        depth, stray = 0, 0
        for letter in bare:
            if letter == opening:
                depth += 1
            elif letter == closing and depth:
                depth -= 1
            elif letter == closing:
                stray += 1
        if depth:
            found.append(
                Advice("warning", f'{depth} "{opening}" not closed: it acts up to the end of the prompt.', "U3")
            )
        if stray:
            found.append(Advice("warning", f'{stray} "{closing}" that closes nothing: it is drawn as text.', "U3"))
    for match in _DECIMAL_COMMA.finditer(bare):
        found.append(Advice("warning", f'"({match[1]})": a weight is written with a point, not a comma.', "U3"))
    for match in _TWO_POINTS.finditer(bare):
        found.append(Advice("warning", f'"({match[1]})": that is no number, so it is text.', "U3"))
    return found


def _schedules(text: str, prompt: ParsedPrompt, steps: int) -> list[Advice]:
    found = []
    for match in _NEVER.finditer(prompt.text):
        if match[1] != "." and float(match[1]) >= 1:
            found.append(
                Advice(
                    "warning",
                    f'"{match[0]}" never switches: with a point {match[1]} is a share of the steps, and 1.0 is all.',
                    "U3",
                )
            )
    if len(prompt.subprompts) == 1 and prompt.compat is None and _TRAILING.search(prompt.text):
        found.append(Advice("note", "a number behind a colon at the end is text; it is a weight only with AND.", "U3"))
    for name in _in_brackets(text):
        found.append(
            Advice("warning", f'brackets do not weigh or schedule an adapter: "{name}" keeps its own strength.', "U1")
        )
    for network in prompt.networks:
        if network.start and network.end and network.start.step(steps) >= network.end.step(steps):
            found.append(Advice("warning", f'adapter "{network.name}" ends before it starts: it is never on.', "U1"))
    if _DYNAMIC.search(prompt.text):
        found.append(Advice("note", f"it looks like a template: {Do(Action.EXPAND)} makes prompts of it.", "U4"))
    return found


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[\\_()\[\]]", " ", text).lower().split())
