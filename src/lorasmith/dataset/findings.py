"""What a rule says about a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lorasmith.dataset.evidence import Evidence
from lorasmith.remedies import Remedy

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""The worst first."""


@dataclass(frozen=True)
class AutoFix:
    """What can be done about a finding without asking: leave these images out, or show each once an epoch."""

    verb: Literal["reject", "show once"]
    images: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The "remedy" of a finding in an inspection's document."""
        return {"verb": self.verb, "images": list(self.images)}


@dataclass(frozen=True)
class Finding:
    """One thing that a rule found: what is so (`message`), and what to do about it (`advice`).

    In a typed advice PROJECT stands for the project's folder
    (`advice_on` names it). `images` are item names or, for files that are no items,
    their printable paths. `waived` is the reason why the user accepts it, and None when it stands. `fix` is what
    can be done without asking, if anything.
    """

    rule: str
    level: Level
    message: str
    advice: str | Remedy
    images: tuple[str, ...] = ()
    waived: str | None = None
    fix: AutoFix | None = None

    @property
    def sentence(self) -> str:
        """The message with a capital, unless it begins with a name."""
        first = self.message.partition(" ")[0]
        is_name = first.endswith(":") or any(self.message.startswith(name) for name in self.images)
        return self.message if is_name else self.message[:1].upper() + self.message[1:]

    def advice_on(self, project: Path) -> str | Remedy:
        """The advice for this project."""
        return self.advice if isinstance(self.advice, str) else self.advice.about(project=project)

    def as_json(self) -> dict[str, Any]:
        """One entry of the "findings" of an inspection's document."""
        return {
            "rule": self.rule,
            "level": self.level,
            "images": list(self.images),
            "message": self.message,
            "advice": str(self.advice),
            "waived": self.waived,
            "remedy": self.fix.as_json() if self.fix else None,
        }


@dataclass(frozen=True)
class Rule:
    """A dataset rule: its id and title (D: domain.md's numbering, L: our own), and its check."""

    id: str
    title: str
    check: Callable[[Evidence], Iterator[Finding]]
