"""GPUs by name: how much memory they have, and what the tools that rent them call them.

Names as in dstack's gpuhunt 0.1.34 and SkyPilot's catalogue v8; memory in GB of 2^30 bytes, as they are sold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lorasmith.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Card:
    """A GPU of `gigabytes`. `sky` and `dstack`: what those call it; `several`: cards of that name come with more
    memory, too, so that it must be said."""

    name: str
    gigabytes: int
    sky: str
    dstack: str
    several: bool = False

    @property
    def memory(self) -> int:
        """Bytes."""
        return self.gigabytes * 2**30


def _table(*rows: Card) -> Mapping[str, Card]:
    return MappingProxyType({row.name: row for row in rows})


CARDS = _table(
    Card("T4", 16, "T4", "T4"),
    Card("V100", 16, "V100", "V100", several=True),
    Card("L4", 24, "L4", "L4"),
    Card("A10", 24, "A10", "A10"),
    Card("A10G", 24, "A10G", "A10G"),
    Card("RTX3090", 24, "RTX3090", "RTX3090"),
    Card("RTX4090", 24, "RTX4090", "RTX4090"),
    Card("RTX5090", 32, "RTX5090", "RTX5090"),
    Card("A40", 48, "A40", "A40"),
    Card("A6000", 48, "RTXA6000", "A6000"),
    Card("RTX6000Ada", 48, "RTX6000-Ada", "RTX6000Ada"),
    Card("L40", 48, "L40", "L40"),
    Card("L40S", 48, "L40S", "L40S"),
    Card("A100", 40, "A100", "A100", several=True),
    Card("A100-80GB", 80, "A100-80GB", "A100", several=True),
    Card("H100", 80, "H100", "H100"),
    Card("H200", 141, "H200", "H200"),
    Card("B200", 180, "B200", "B200"),
)


def find_card(name: str) -> Card:
    """The card of this name, whatever its case. Raises UsageError, which names them all."""
    found = next((card for card in CARDS.values() if card.name.lower() == name.lower()), None)
    if found is None:
        hints = (did_you_mean(name, CARDS), f"Known: {', '.join(CARDS)}.")
        raise UsageError(f"{name}: no GPU of that name is known.", field="gpu", hint=" ".join(filter(None, hints)))
    return found


def read_cards(text: str) -> tuple[Card, int]:
    """The card and how many of them: ``L4``, ``A100-80GB:2``. Raises UsageError."""
    name, _, count = text.partition(":")
    if count and not (count.isascii() and count.isdigit() and 1 <= int(count) <= 16):
        raise UsageError(f"{text}: how many GPUs is a number from 1 to 16.", field="gpu", hint="For example L4:2.")
    return find_card(name.strip()), int(count or 1)
