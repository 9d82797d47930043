"""What the figures mean in plain words, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.exam.figures import Figure
from lorasmith.remedies import Action, Do, Remedy, Sentence

#: C2: an adapter worth publishing gives a usable picture in at least 80 % of generations.
WORTHY = 0.8
FLEXIBLE = 0.8
LEAKING = 0.1
UNCALLED = 0.2
COPYING = 0.05


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
            "report": str(self.report),
            **self.facts,
        }


def judge_figures(figures: Mapping[str, Figure], base: Mapping[str, Figure]) -> tuple[str, tuple[str | Remedy, ...]]:
    """One sentence of verdict and the next steps, most urgent first."""
    hit, flexibility = figures["hit_rate"], figures["flexibility"]
    leakage, copying = figures["leakage"], figures["copying"]
    if hit.low >= WORTHY:
        summary = f"Ready: it shows the subject in {_percent(hit.value)} of pictures."
    elif hit.value >= WORTHY:
        summary = f"Probably ready: {_percent(hit.value)} hits, but too few pictures were drawn to be sure."
    elif hit.value >= WORTHY / 2:
        summary = f"Not yet: it shows the whole subject in only {_percent(hit.value)} of pictures."
    else:
        summary = f"It has not learnt the subject: {_percent(hit.value)} hits."
    advice: list[str | Remedy] = []
    if hit.value < WORTHY:
        advice.append(_advice_on_hits(figures))
    elif hit.low < WORTHY:
        more = Do(Action.EXAMINE, project="PROJECT", pictures=800)
        advice.append(Sentence("Draw more pictures to be sure: ", more, " (C2)."))
    if flexibility.n and flexibility.value < FLEXIBLE:
        advice.append(
            "It resists things it was not trained on: use strength 0.8, an earlier snapshot, or training images"
            " with more variety (C4, D4)."
        )
    if leakage.n and leakage.value > LEAKING:
        advice.append(
            'It changes pictures that do not call it: train with preserve.kind = "both", a lower'
            " text-encoder rate, or fewer steps (C6)."
        )
    untriggered = figures["untriggered"]
    if untriggered.n and untriggered.value > UNCALLED:
        advice.append(
            'It comes without its trigger: train with preserve.kind = "both" and a higher text-encoder rate, or name'
            " more of the scene in the captions (C6, T1)."
        )
    if copying.n and copying.low > COPYING:
        advice.append("It repeats training images: train fewer steps or add different images (D1, D4).")
    if not flexibility.n:
        advice.append('Flexibility was not measured: name things to ask for, [exam] ask = ["forest", ...] (C4).')
    if base["hit_rate"].n and base["hit_rate"].value > 0.2:
        advice.append("The base already draws this without an adapter: is the trigger a word that it knows (T2)?")
    if not advice:
        use = Do(Action.GENERATE, prompt="TRIGGER, your words <lora:NAME:0.8>")
        advice.append(Sentence("Use it: ", use, "."))
    return summary, tuple(advice)


def _advice_on_hits(figures: Mapping[str, Figure]) -> str:
    traits = {name.removeprefix("identity."): f for name, f in figures.items() if name.startswith("identity.")}
    weakest = min(traits, key=lambda name: traits[name].value) if traits else None
    detail = f" The weakest trait is {weakest} ({_percent(traits[weakest].value)})." if weakest else ""
    return f"Train longer (more target_steps), with a higher rank, or with more images of what is missed.{detail} (R2)"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
