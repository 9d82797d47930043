"""What an exam will draw and how long that takes, told before it starts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lorasmith.bases.tag_space import TagSpace
from lorasmith.events import Event, Note
from lorasmith.exam.selection import ROUNDS, race_cost
from lorasmith.exam.settings import ExamTable
from lorasmith.exam.sitting import Sitting
from lorasmith.exam.subject import Subject
from lorasmith.project import Project

#: Pictures of the base with the subject's traits in words.
DESCRIBED = 24
#: Ways in which two adapters are combined (stacking.py).
WAYS = 6


@dataclass(frozen=True)
class ExamPlan:
    """Pictures by what they are for."""

    parts: Mapping[str, int]

    @property
    def pictures(self) -> int:
        return sum(self.parts.values())

    def __str__(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in self.parts.items() if count)


def count_stacking(partners: int, settings: ExamTable) -> int:
    """Pictures beside each partner, and beside the first two together."""
    return (partners + (partners > 1)) * WAYS * settings.stacking_pictures


def make_plan(
    settings: ExamTable, snapshots: int, partners: int, encoder: bool, subject: Subject, world: TagSpace | None
) -> ExamPlan:
    """How many pictures each part draws; the window may go on, and questions that cannot be asked are counted."""
    strengths = 2 if settings.strength is None else 1
    rounds = tuple(n for n in ROUNDS if n <= max(ROUNDS[0], settings.pictures))
    described = described_count(settings) if encoder and subject.identity else 0
    unasked = 0 if world else settings.untriggered_count
    return ExamPlan(
        {
            "the base's own": settings.base_count + described,
            "choosing": 0 if snapshots < 2 else race_cost(snapshots, rounds, strengths) + rounds[-1] // 4,
            "strengths": len(settings.window) * (settings.window_count + settings.window_count // 2),
            "hits": settings.pictures,
            "flexibility": 2 * settings.flexibility_count,
            "override": 2 * settings.override_count if world else 0,
            "leakage": 2 * (settings.leakage_count + settings.untriggered_count) - 2 * unasked,
            "stacking": count_stacking(partners, settings),
            "grid": 1 + snapshots * len(settings.strengths),
        }
    )


def described_count(settings: ExamTable) -> int:
    """Pictures of the base with the subject's traits in words: enough for a line even in a small exam."""
    return min(DESCRIBED, settings.pictures)


def tell_plan(plan: ExamPlan, project: Project) -> Iterator[Event]:
    """Pictures, and the time by the pace of this project's last exam, where there was one."""
    pace = last_pace(project)
    time = "" if pace is None else f", about {tell_seconds(pace * plan.pictures)} at the pace of the last exam"
    yield Note(f"The exam draws about {plan.pictures} pictures{time} ({plan}). It can be stopped and goes on later.")


def tell_pace(plan: ExamPlan, sitting: Sitting) -> Iterator[Event]:
    """The time that is left, by the pace of what was drawn so far."""
    if sitting.pace is not None:
        left = max(0, plan.pictures - sitting.pictures - sitting.found)
        yield Note(f"{sitting.pace:.2f} s a picture: about {tell_seconds(left * sitting.pace)} to go.")


def last_pace(project: Project) -> float | None:
    """Seconds a picture in the newest exam that tells them."""
    for file in sorted(project.exams.glob("*/figures.json"), reverse=True):
        try:
            document: dict[str, Any] = json.loads(file.read_text("utf-8"))
            return float(document["drawn"]["pace"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def tell_seconds(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
