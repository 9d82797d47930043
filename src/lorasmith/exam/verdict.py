"""What the figures mean in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.exam.figures import Figure
from lorasmith.remedies import Remedy, write_parts

#: C2: an adapter worth publishing gives a usable picture in at least 80 % of generations.
WORTHY = 0.8
#: From this share of broken pictures on nothing else matters.
BROKEN = 0.2


@dataclass(frozen=True)
class Verdict:
    """The outcome of an exam. `chosen` is the snapshot to use; `facts` is what else the report and JSON say."""

    chosen: Path
    clear: bool
    figures: Mapping[str, Figure]
    base: Mapping[str, Figure]
    summary: str
    advice: tuple[str | Remedy, ...]
    folder: Path
    facts: Mapping[str, Any]

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def as_json(self) -> dict[str, Any]:
        """The stable document: figures with intervals, the base's column, the chosen snapshot."""
        figures: dict[str, Any] = {name: figure.as_json() for name, figure in self.figures.items()}
        figures["base"] = {name: figure.as_json() for name, figure in self.base.items()}
        return {
            "figures": figures,
            "chosen": str(self.chosen),
            "clear": self.clear,
            "verdict": self.summary,
            "advice": list(map(str, self.advice)),
            "advice_parts": [write_parts(line) for line in self.advice],
            "report": str(self.report),
            **self.facts,
        }


def summarise(figures: Mapping[str, Figure], strength: float) -> str:
    """One sentence of verdict."""
    hit, broken = figures["hit_rate"], figures["broken"]
    if broken.n and broken.low > BROKEN:
        return f"It breaks its pictures: {percent(broken.value)} are burnt or mangled at strength {strength:g}."
    if hit.low >= WORTHY:
        return f"Ready: it shows the subject in {percent(hit.value)} of pictures."
    if hit.value >= WORTHY:
        return f"Probably ready: {percent(hit.value)} hits, but too few pictures were drawn to be sure."
    if hit.value >= WORTHY / 2:
        return f"Not yet: it shows the whole subject in only {percent(hit.value)} of pictures."
    return f"It has not learnt the subject: {percent(hit.value)} hits."


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"
