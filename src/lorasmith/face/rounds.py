"""Rounds of training: an adapter's own pictures of what no image shows, taken into its dataset (D15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith.errors import UsageError
from lorasmith.events import Done, Note, Work
from lorasmith.face.stages import train_project
from lorasmith.project import Project

if TYPE_CHECKING:
    from lorasmith.dataset.derive import Derived
    from lorasmith.exam.second_round import SecondRound

MOST_ROUNDS = 4


@dataclass(frozen=True)
class AdoptedRound:
    """What was drawn and kept, and the images that it became."""

    drawn: SecondRound
    made: tuple[Derived, ...]

    @property
    def fresh(self) -> int:
        """How many images were not in the dataset before."""
        return sum(not picture.existed for picture in self.made)

    def as_json(self) -> dict[str, Any]:
        """The stable document."""
        return {
            "adapter": str(self.drawn.adapter),
            "strength": self.drawn.strength,
            "drawn": self.drawn.drawn,
            "kept": dict(self.drawn.shown),
            "missed": list(self.drawn.missed),
            "made": [picture.as_json() for picture in self.made],
        }


def adopt_round(
    project: Project, adapter: Path | None = None, count: int | None = None, *, number: int = 2
) -> Work[AdoptedRound]:
    """Draw a round with the adapter (that of the newest run) and take what was kept into the dataset, one step for
    undo. Raises ExamError, RefusedError."""
    from lorasmith.dataset.derive import adopt
    from lorasmith.dataset.generated import GenerationFacts
    from lorasmith.exam.second_round import draw_second_round
    from lorasmith.tags.refusal import refuse

    drawn = yield from draw_second_round(project, adapter, count)
    called = {drawn.adapter.stem: f"{drawn.strength:g}"}
    drawings = {}
    for picture in drawn.kept:
        refuse((picture.prompt,), where=picture.path)
        drawings[picture.path] = GenerationFacts(picture.prompt, "", called, {"Seed": str(picture.seed)})
    made: tuple[Derived, ...] = ()
    if drawings:
        made = yield from adopt(project, drawings, round_number=number)
    return AdoptedRound(drawn, made)


def train_rounds(
    project: Project, rounds: int, settings: Mapping[str, str] | None = None, *, probe: bool = False
) -> Work[Done]:
    """Train, and for every further round take pictures of the last adapter into the dataset and train anew; the last
    event is the last run's. Each run, and each round's pictures, can be gone on with by itself. Raises UsageError for a
    project with a sweep, and what its stages raise."""
    if project.table("sweep"):
        raise UsageError(
            "a sweep has many adapters, a round is drawn with one.", field="rounds", hint="Give sweep = no."
        )
    done = yield from _train(project, settings, probe=probe)
    for number in range(2, rounds + 1):
        adopted = yield from adopt_round(project, done.adapter, number=number)
        yield Note(
            f"round {number}: {len(adopted.made)} pictures of {adopted.drawn.drawn} were taken into the dataset (D15)."
        )
        if not adopted.made:
            break
        done = yield from _train(project, settings, probe=False)
    return done


def _train(project: Project, settings: Mapping[str, str] | None, *, probe: bool) -> Work[Done]:
    done = yield from train_project(project, settings, sweep=False, probe=probe)
    assert isinstance(done, Done)
    return done
