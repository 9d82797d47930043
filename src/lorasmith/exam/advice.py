"""What to do next, most urgent first, knowing what was done: the run's recipe, the strength, the window."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lorasmith.exam.figures import Figure
from lorasmith.exam.plan import tell_seconds
from lorasmith.exam.selection import Arm, Choice
from lorasmith.exam.stacking import Stack
from lorasmith.exam.strength import Window
from lorasmith.exam.verdict import BROKEN, WORTHY, percent
from lorasmith.remedies import Action, Do, Remedy, Sentence

FLEXIBLE = 0.8
LEAKING = 0.1
UNCALLED = 0.2
COPYING = 0.05
#: C3: usable at this strength, which is what people type.
USUAL = 0.8
#: C5: of the joint success over the product of the single ones.
STACKING = 0.75
BLEEDING = 0.2


@dataclass(frozen=True)
class Evidence:
    """All that advice is made of. `recipe` is the run's, as it was written beside it; {} for a file without a run."""

    figures: Mapping[str, Figure]
    base: Mapping[str, Figure]
    window: Window
    choice: Choice[Arm]
    stacks: Sequence[Stack] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    pace: float | None = None
    earlier: bool = True
    """Whether there is a snapshot before the chosen one."""

    def used(self, path: str) -> Any:
        """What the recipe says at a dotted key, or None."""
        here: Any = self.recipe
        for name in path.split("."):
            here = here.get(name) if isinstance(here, Mapping) else None
        return here


def read_used_recipe(adapter: Path) -> Mapping[str, Any]:
    """The recipe beside an adapter of a run, or beside the run of a snapshot."""
    for folder in (adapter.parent, adapter.parent.parent):
        with contextlib.suppress(OSError, tomllib.TOMLDecodeError):
            document = tomllib.loads((folder / "recipe.toml").read_text("utf-8"))
            table = document.get("recipe", document)
            return table if isinstance(table, dict) else {}
    return {}


def advise(evidence: Evidence) -> tuple[str | Remedy, ...]:
    """The next steps."""
    steps = list(_steps(evidence))
    if not steps:
        call = f"TRIGGER, your words <lora:NAME:{evidence.window.recommended:g}>"
        steps = [Sentence("Use it: ", Do(Action.GENERATE, prompt=call), ".")]
    return tuple(steps)


def _steps(evidence: Evidence) -> Iterator[str | Remedy]:
    figures, base = evidence.figures, evidence.base
    hit = figures["hit_rate"]
    broken = figures["broken"]
    if broken.n and broken.low > max(BROKEN, base["broken"].value):
        yield _on_broken(evidence)
    if hit.value < WORTHY:
        yield _on_hits(evidence)
    elif hit.low < WORTHY:
        more = Do(Action.EXAMINE, project="PROJECT", pictures=max(800, 2 * hit.n))
        yield Sentence("Draw more pictures to be sure: ", more, " (C2).")
    yield from _on_strength(evidence)
    if figures["flexibility"].n and figures["flexibility"].value < FLEXIBLE:
        yield _on_flexibility(evidence)
    yield from _on_leakage(evidence)
    if figures["copying"].n and figures["copying"].low > COPYING:
        yield "It repeats training images: train fewer steps or add different images (D1, D4)."
    if not figures["flexibility"].n:
        yield 'Flexibility was not measured: name things to ask for, [exam] ask = ["forest", ...] (C4).'
    if base["hit_rate"].n and base["hit_rate"].value > 0.2:
        yield "The base already draws this without an adapter: is the trigger a word that it knows (T2)?"
    yield from _on_stacking(evidence)
    yield from _on_choice(evidence)


def _on_hits(evidence: Evidence) -> str:
    figures = evidence.figures
    traits = {name.removeprefix("identity."): f for name, f in figures.items() if name.startswith("identity.")}
    if figures["likeness"].n:
        traits["likeness"] = figures["likeness"]
    weakest = min(traits, key=lambda name: traits[name].value) if traits else None
    detail = f" The weakest trait is {weakest} ({percent(traits[weakest].value)})." if weakest else ""
    steps, rank = evidence.used("target_steps"), evidence.used("rank")
    longer = f"more target_steps than {steps}" if steps else "more target_steps"
    higher = f"a higher rank than {rank}" if rank else "a higher rank"
    return f"Train longer ({longer}), with {higher}, or with more images of what is missed.{detail} (R2)"


def _on_broken(evidence: Evidence) -> str:
    """Weaker, if it is better there; else it is burnt in."""
    weaker = [point for point in evidence.window.points if point.strength < evidence.window.recommended]
    good = [point for point in weaker if point.broken.value < BROKEN and point.hits.value >= WORTHY]
    if good:
        return f"Call it at {good[-1].strength:g}, where only {percent(good[-1].broken.value)} break (C3)."
    rate = evidence.used("lr.unet")
    lower = f"a lower rate than {rate:g}" if isinstance(rate, int | float) else "a lower rate"
    return f"It is burnt in at every strength: train fewer steps, or with {lower}."


def _on_strength(evidence: Evidence) -> Iterator[str]:
    window = evidence.window
    if len(window.points) < 2:
        return
    if window.low is None or window.high is None or evidence.figures["hit_rate"].value < WORTHY:
        return
    if window.low > USUAL:
        yield (
            f"It works from {window.low:g} on only, and people type {USUAL:g}: train with a range of strengths"
            " (strength.min), or longer, so that it acts in proportion (C3)."
        )
    elif window.high < 1:
        yield f"It breaks above {window.high:g}: train fewer steps or at a lower rate, and say so where you share it."


def _on_flexibility(evidence: Evidence) -> Remedy:
    """What was not done yet of: weaker, earlier, more variety."""
    window = evidence.window
    here = min(window.points, key=lambda p: abs(p.strength - window.recommended))
    better = [
        point
        for point in window.points
        if point.strength < window.recommended
        and point.hits.value >= WORTHY
        and point.flexible.value > here.flexible.value + here.error
    ]
    ways = [f"use strength {better[-1].strength:g}"] if better else []
    ways += ["an earlier snapshot"] if evidence.earlier else []
    ways.append("training images with more variety")
    return Sentence(
        f"It resists things it was not trained on: {_either(ways)} (C4, D4); or let it draw them with the base's help "
        "and train again with what comes out right (D15): ",
        Do(Action.DRAW_ROUND, project="PROJECT"),
        ".",
    )


def _on_leakage(evidence: Evidence) -> Iterator[str]:
    figures = evidence.figures
    kind, rate = evidence.used("preserve.kind"), evidence.used("lr.text_encoder")
    weight = evidence.used("preserve.weight")
    preserve = [] if kind == "both" else ['preserve.kind = "both"']
    if kind == "both":
        preserve = [f"a preserve.weight above {weight:g}" if isinstance(weight, int | float) else "a higher weight"]
    told = f" (it was {rate:g})" if isinstance(rate, int | float) else ""
    if figures["leakage"].n and figures["leakage"].value > LEAKING:
        ways = [*preserve, *([] if rate == 0 else [f"a lower text-encoder rate{told}"]), "fewer steps"]
        yield f"It changes pictures that do not call it: train with {_either(ways)} (C6)."
    if figures["untriggered"].n and figures["untriggered"].value > UNCALLED:
        learns = "a text encoder that learns, too" if rate == 0 else f"a higher text-encoder rate{told}"
        ways = [*preserve, learns]
        yield (
            f"It comes without its trigger: train with {_either(ways)}, or name more of the scene in the captions"
            " (C6, T1)."
        )


def _on_stacking(evidence: Evidence) -> Iterator[str]:
    weak = [stack for stack in evidence.stacks if stack.ratio.n and stack.ratio.value < STACKING]
    helped = [stack for stack in weak if stack.apart.value > stack.joint.value]
    for stack in helped:
        shown = f"both show in {stack.apart.value:.0%} instead of {stack.joint.value:.0%}"
        yield f"Beside {stack.name} it gives way; called apart, {stack.call}, {shown} (C5)."
    if len(weak) > len(helped):
        names = ", ".join(stack.name for stack in weak if stack not in helped)
        yield f"Beside {names} it gives way: call both weaker (0.6 to 0.7 each), or train with preservation (C5)."
    bleeding = [stack.name for stack in evidence.stacks if stack.ours_bleeds.n and stack.ours_bleeds.low > BLEEDING]
    if bleeding:
        yield f"Its traits turn up where only {', '.join(bleeding)} is called (C5): preservation helps here, too."


def _on_choice(evidence: Evidence) -> Iterator[str]:
    choice = evidence.choice
    if choice.clear or len(choice.tied) < 2:
        return
    names = " and ".join(arm.snapshot.stem for arm in choice.tied)
    if choice.more is None:
        yield f"Nobody can tell {names} apart, and more pictures would not be worth it: take the one that you have."
        return
    pictures = choice.more * len(choice.tied)
    cost = f", about {tell_seconds(pictures * evidence.pace)}" if evidence.pace else ""
    yield f"To tell {names} apart about {pictures} more pictures would be needed{cost}."


def _either(ways: Sequence[str]) -> str:
    return ways[0] if len(ways) == 1 else f"{', '.join(ways[:-1])} or {ways[-1]}"
