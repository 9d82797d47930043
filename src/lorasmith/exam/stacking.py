"""Stacking (C5): does the adapter live beside others, called together, and without bleeding into each other?

For each partner six ways on common seeds: each alone, both called, both with the partner called apart (it is told its
trigger by itself, `prompts.networks`), and each called with the other loaded but not called. Judged by words, as traits
of two adapters look like neither's training images. Where both want a value of the same group (two hair colours),
neither is asked for it, but for one that has nothing else to show (a style its style).
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lorasmith.events import Work
from lorasmith.exam.drawing import Row
from lorasmith.exam.figures import Figure, share
from lorasmith.exam.looks import Look
from lorasmith.exam.plan import count_stacking
from lorasmith.exam.questions import STACKING, Paper, Question
from lorasmith.exam.selection import Arm
from lorasmith.exam.settings import ExamTable
from lorasmith.exam.sitting import Clock, Sitting, chunks
from lorasmith.exam.standards import Standards
from lorasmith.tags.words import join_tags, split_tags

if TYPE_CHECKING:
    from PIL.Image import Image

#: Resamples of a ratio's interval.
RESAMPLES = 1000


@dataclass(frozen=True)
class Partner:
    """Another adapter: how it is called, its recommended strength, and what a judge must see of it."""

    file: Path
    name: str
    trigger: str
    strength: float
    identity: Mapping[str, str]

    @property
    def words(self) -> str:
        """What it is told apart: its trigger without what would end the words in a tag; "" where none is recorded, so
        that it cannot be called so."""
        return re.sub(r"[:=<>]+", " ", self.trigger).strip()

    @property
    def call(self) -> str:
        """The tag that calls it apart."""
        return f"<lora:{self.name}:{self.strength:g}{f':apart={self.words}' if self.words else ''}>"


@dataclass(frozen=True)
class Stack:
    """How the two get on. `joint`: both seen when both are called; `ratio`: that over the product of the two alone;
    `ours_bleeds`: a trait of ours seen where only the partner is called; `theirs_bleeds`: the reverse; `broken`: of
    the pictures with both. `apart`, `apart_ratio`: joint and ratio where the partner is called apart, as `call` says.
    `n` is 0 where there is nothing to ask (all groups in common)."""

    name: str
    joint: Figure
    ratio: Figure
    apart: Figure
    apart_ratio: Figure
    call: str
    ours: Figure
    theirs: Figure
    ours_bleeds: Figure
    theirs_bleeds: Figure
    broken: Figure
    pictures: tuple[Image, ...]
    apart_pictures: tuple[Image, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "with": self.name,
            "joint": round(self.joint.value, 4),
            "ratio": round(self.ratio.value, 4),
            "n": self.joint.n,
            "ratio_low": round(self.ratio.low, 4),
            "ratio_high": round(self.ratio.high, 4),
            "apart": {
                "call": self.call,
                "joint": self.apart.as_json(),
                "ratio": self.apart_ratio.as_json(),
            },
            "alone": {"ours": self.ours.as_json(), "theirs": self.theirs.as_json()},
            "bleeds": {"ours": self.ours_bleeds.as_json(), "theirs": self.theirs_bleeds.as_json()},
            "broken": self.broken.as_json(),
        }


def stack_all(
    sitting: Sitting,
    paper: Paper,
    standards: Standards,
    chosen: Arm,
    partners: Sequence[Partner],
    settings: ExamTable,
) -> Work[list[Stack]]:
    """Each partner by itself, and with two or more of them the first two together."""
    clock = Clock("stacking", count_stacking(len(partners), settings))
    stacks = []
    for partner in partners:
        stacks.append((yield from _stack(sitting, paper, standards, chosen, (partner,), settings, clock)))
    if len(partners) > 1:
        stacks.append((yield from _stack(sitting, paper, standards, chosen, tuple(partners[:2]), settings, clock)))
    return stacks


#: How they are combined: ours is called, theirs are called, our file is loaded. Apart, theirs are called by their tags.
_WAYS = {
    "ours": (True, False, True),
    "theirs": (False, True, False),
    "both": (True, True, True),
    "apart": (True, False, True),
    "ours beside": (True, False, True),
    "theirs beside": (False, True, True),
}


def _stack(
    sitting: Sitting,
    paper: Paper,
    standards: Standards,
    chosen: Arm,
    partners: tuple[Partner, ...],
    settings: ExamTable,
    clock: Clock,
) -> Work[Stack]:
    asked = paper.ask("hit", settings.stacking_pictures, STACKING)
    beside = tuple((partner.file, partner.strength) for partner in partners)
    theirs: dict[str, str] = {}
    for partner in partners:
        theirs.update(partner.identity)
    mine, other = _share_out(standards.subject.identity, theirs)
    taken = _taken(paper, other)
    calls = ", ".join(partner.trigger for partner in partners)
    rows: list[Row] = []
    for way, (called, uncalled, files) in _WAYS.items():
        for question in asked:
            prompt = _call(question, paper.subject.trigger if called else "", calls if uncalled else "", taken)
            row = Row(prompt, question.seed, chosen.snapshot if files else None, chosen.strength)
            if way == "apart":
                told = tuple((each.file, each.strength, each.words) for each in partners if each.words)
                others = tuple((each.file, each.strength) for each in partners if not each.words)
                row = replace(row, apart=told, beside=others)
            elif way != "ours":
                row = replace(row, beside=beside)
            rows.append(row)
    drawn = yield from sitting.look_at_all(clock, rows)
    looks = dict(zip(_WAYS, chunks(drawn, len(asked)), strict=True))

    def sees(way: str, wanted: Mapping[str, str]) -> list[bool]:
        return [_shows(look, wanted, question) for look, question in zip(looks[way], asked, strict=True)]

    def joint(way: str) -> list[bool]:
        shown = zip(sees(way, mine), sees(way, other), looks[way], strict=True)
        return [ours and theirs and not standards.faults(look) for ours, theirs, look in shown]

    both, apart = joint("both"), joint("apart")
    alone, partner_alone = sees("ours", mine), sees("theirs", other)
    possible = bool(mine) and bool(other)
    return Stack(
        name=" and ".join(partner.name for partner in partners),
        joint=share(both if possible else []),
        ratio=_ratio(both, alone, partner_alone) if possible else share([]),
        apart=share(apart if possible else []),
        apart_ratio=_ratio(apart, alone, partner_alone) if possible else share([]),
        call=" ".join(partner.call for partner in partners),
        ours=share(alone if mine else []),
        theirs=share(partner_alone if other else []),
        ours_bleeds=share(_bleeds(looks["theirs beside"], looks["theirs"], mine)),
        theirs_bleeds=share(_bleeds(looks["ours beside"], looks["ours"], other)),
        broken=share([bool(standards.faults(look)) for look in looks["both"]]),
        pictures=tuple(look.picture for look in looks["both"][:8]),
        apart_pictures=tuple(look.picture for look in looks["apart"][:8]),
    )


def _share_out(ours: Mapping[str, str], theirs: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What is asked of each. A group that both want is asked of the one that has nothing else (the style of a style),
    and of neither where both have more: one picture cannot show both values."""
    shared = ours.keys() & theirs.keys()
    mine = {group: tag for group, tag in ours.items() if group not in shared}
    other = {group: tag for group, tag in theirs.items() if group not in shared}
    if mine and not other:
        return mine, dict(theirs)
    if other and not mine:
        return dict(ours), other
    return mine, other


def _taken(paper: Paper, theirs: Mapping[str, str]) -> frozenset[str]:
    """The tags that no scene may name beside the partner: what it brings, other values of the same groups, and what
    its traits cover (a mask the eyes)."""
    groups = {*theirs, *(paper.world.hidden(theirs) if paper.world else ())}
    shown = (tag for group in groups for tag in paper.subject.shown.get(group, ()) if tag)
    return frozenset({*theirs.values(), *shown})


def _call(question: Question, trigger: str, calls: str, taken: Container[str]) -> str:
    """The question's scene without what is `taken`, called by one or both triggers."""
    own = split_tags(trigger) if trigger else []
    first = set(split_tags(question.prompt)[:1])
    scene = [tag for tag in split_tags(question.prompt) if tag not in taken and tag not in first]
    return join_tags((*own, *(split_tags(calls) if calls else ()), *scene))


def _shows(look: Look, wanted: Mapping[str, str], question: Question) -> bool:
    return all(look.seen.get(group) == tag for group, tag in wanted.items() if group not in question.hidden)


def _bleeds(looks: Sequence[Look], without: Sequence[Look], traits: Mapping[str, str]) -> list[bool]:
    """Whether any of the traits is seen that is not there without the other adapter; nothing without traits."""
    if not traits:
        return []
    return [
        any(look.seen.get(g) == tag and plain.seen.get(g) != tag for g, tag in traits.items())
        for look, plain in zip(looks, without, strict=True)
    ]


def _ratio(both: Sequence[bool], ours: Sequence[bool], theirs: Sequence[bool]) -> Figure:
    """mean(both) / (mean(ours) mean(theirs)) with a bootstrap over seeds, capped at 1; nothing where one of the two
    never shows."""
    table = np.asarray([both, ours, theirs], np.float64)
    product = table[1].mean() * table[2].mean()
    if not product:
        return Figure(0.0, 0.0, 1.0, 0)
    picks = np.random.default_rng(0).integers(0, table.shape[1], (RESAMPLES, table.shape[1]))
    means = table[:, picks].mean(2)
    below = means[1] * means[2]
    ratios = np.divide(means[0], below, out=np.zeros_like(below), where=below > 0)
    low, high = np.quantile(ratios, [0.025, 0.975])
    value = float(table[0].mean() / product)
    return Figure(min(1.0, value), min(1.0, float(low)), min(1.0, float(high)), table.shape[1])
