"""A whole prompt read: adapters, sub-prompts, their schedules, and the emphasis in each text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lorasmith.prompts.attention import Span, parse_attention
from lorasmith.prompts.borrowing import borrow
from lorasmith.prompts.compatibility import Compat
from lorasmith.prompts.composition import check_subprompts, split_subprompts
from lorasmith.prompts.networks import Network, Tags, split_networks
from lorasmith.prompts.schedule import parse_schedule


@dataclass(frozen=True)
class SubPrompt:
    """One part of an AND, or of what a tag adds to one: its text, its weight, its texts by last step in force, and the
    adapters that act in it (none: it is told to the bare base). `beside`: a tag adds it."""

    text: str
    weight: float
    schedule: tuple[tuple[int, str], ...]
    networks: tuple[Network, ...] = ()
    beside: bool = False


@dataclass(frozen=True)
class ParsedPrompt:
    """What a prompt says. `text` is without adapter tags; `unknown` are tags of kinds that we do not have."""

    networks: tuple[Network, ...]
    text: str
    subprompts: tuple[SubPrompt, ...]
    unknown: tuple[str, ...]
    compat: Compat = None

    @property
    def schedule(self) -> tuple[tuple[int, str], ...]:
        """The schedule of the first sub-prompt."""
        return self.subprompts[0].schedule

    @property
    def attention(self) -> list[Span]:
        """The emphasis in the first entry of `schedule`."""
        return parse_attention(self.schedule[0][1], self.compat)

    def __str__(self) -> str:
        """A prompt that says the same; adapters stand in front, with repeats summed."""
        return str(Tags(self.text, self.networks, self.unknown, self.compat))

    def as_json(self) -> dict[str, Any]:
        """The stable document of a parsed prompt; curve, window and blocks only where an adapter has any."""
        return {
            "networks": [
                {"name": network.name, "te": network.te, "unet": network.unet, "dyn": network.dyn, **_more(network)}
                for network in self.networks
            ],
            "text": self.text,
            "subprompts": [[part.text, part.weight, *_told(part)] for part in self.subprompts],
            "schedule": [list(entry) for entry in self.schedule],
            "attention": [[span.text, span.weight] for span in self.attention],
        }


def parse(text: str, steps: int, compat: Compat = None, hires_steps: int | None = None) -> ParsedPrompt:
    """Read a prompt for a picture of `steps` steps. Raises PromptError, and never anything else, on any text.

    The order is that of the A1111 web UI: adapter tags first (so no bracket weighs or schedules them), then AND,
    then each part's schedule, then emphasis.
    """
    tags = split_networks(text, compat)
    together = tuple(network for network in tags.networks if not network.apart)
    apart = [network for network in tags.networks if network.apart]
    parts: list[SubPrompt] = []

    def add(part: str, weight: float, networks: tuple[Network, ...], *, beside: bool = True) -> None:
        parts.append(SubPrompt(part, weight, tuple(parse_schedule(part, steps, hires_steps)), networks, beside))

    pieces = split_subprompts(tags.text, compat)
    if apart:
        check_subprompts(len(pieces) * (len(apart) + 2))  # before so many texts are made
    for part, weight in pieces:
        whole, borrowed = borrow(part) if compat is None else (part, ())
        add(whole, weight, together, beside=False)
        for each in borrowed:
            add(whole, weight * each.weight, ())
            add(each.without, -weight * each.weight, ())
        for network in apart:
            add(f"{network.apart}, {whole}", weight, (network,))
        if apart:
            add(whole, -weight * len(apart), ())
    return ParsedPrompt(tags.networks, tags.text, tuple(parts), tags.unknown, compat)


def _told(part: SubPrompt) -> list[str]:
    """Who is told what a tag adds: an adapter by itself, or the base."""
    return [f"lora:{network.name}" for network in part.networks] or ["base"] if part.beside else []


def _more(network: Network) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if network.curve:
        more["curve"] = [[str(moment), value] for moment, value in network.curve]
    if network.start is not None:
        more["start"] = str(network.start)
    if network.end is not None:
        more["end"] = str(network.end)
    if network.blocks:
        more["blocks"] = list(network.blocks)
    if network.apart:
        more["apart"] = network.apart
    return more
