"""Question sheets: prompts with the attributes that must be seen, and the base's own prompt on the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lorasmith.exam.subject import Subject
from lorasmith.exam.world import World
from lorasmith.tags.words import join_tags

Kind = Literal["hit", "flexibility", "leakage"]
#: Streams of questions: what chooses a snapshot never reports on it, and the grid has its own.
CHOOSING, REPORTING, SHOWING = 1, 2, 3


@dataclass(frozen=True)
class Question:
    """One prompt for the adapter and one for the base, drawn from the same `seed`.

    `asked`: what must be seen besides the identity (flexibility). A leakage question names no trigger.
    """

    kind: Kind
    prompt: str
    base_prompt: str
    seed: int
    asked: Mapping[str, str] = field(default_factory=dict)


def hit_sheet(subject: Subject, world: World | None, count: int, seed: int, stream: int) -> list[Question]:
    """`count` prompts with the trigger and free attributes as they were seen in training (C2).

    The base gets the same prompt: its hits are what the words alone are worth.
    """
    random = _random(seed, stream, 1)
    questions = []
    for _ in range(count):
        tags = _free_tags(subject, world, random, leave_out=None)
        prompt = join_tags((subject.trigger, *tags))
        questions.append(Question("hit", prompt, prompt, _picture_seed(random)))
    return questions


def flexibility_sheet(subject: Subject, world: World | None, count: int, seed: int, stream: int) -> list[Question]:
    """`count` prompts that ask for one value never trained with the subject, every value equally often (C4).

    Empty when there is nothing unseen to ask for. The base is asked for the same value without the trigger: what it
    cannot draw itself is not held against the adapter.
    """
    pairs = [(group, value) for group, values in subject.unseen.items() for value in values]
    if not pairs:
        return []
    random = _random(seed, stream, 2)
    order = _evenly(pairs, count, random)
    questions = []
    for group, value in order:
        others = _free_tags(subject, world, random, leave_out=group)
        style = (subject.style,) if world and subject.style in world.styles() else ()
        prompt = join_tags((subject.trigger, *others, value))
        base_prompt = join_tags(
            (*(style if world and world.style_group not in subject.shown else ()), *others, value)
        )
        questions.append(Question("flexibility", prompt, base_prompt, _picture_seed(random), {group: value}))
    return questions


def leakage_sheet(subject: Subject, world: World | None, count: int, seed: int, stream: int) -> list[Question]:
    """`count` prompts without the trigger: random ones of the base's world, or else the captions' own (C6)."""
    random = _random(seed, stream, 3)
    questions = []
    for _ in range(count):
        if world:
            prompt = join_tags(world.prompt(world.draw(random)))
        else:
            prompt = join_tags(subject.captions[int(random.integers(len(subject.captions)))])
        questions.append(Question("leakage", prompt, prompt, _picture_seed(random)))
    return questions


def choosing_sheet(subject: Subject, world: World | None, count: int, seed: int) -> list[Question]:
    """A mixed sheet for comparing snapshots: of every four questions two hits, one flexibility, one leakage.

    Any prefix of whole fours has the same mixture, so that rounds can go on where the last one stopped.
    """
    quarter = -(-count // 4)
    hits = hit_sheet(subject, world, 3 * quarter, seed, CHOOSING)
    flexible = flexibility_sheet(subject, world, quarter, seed, CHOOSING) or hits[2 * quarter :]
    leaks = leakage_sheet(subject, world, quarter, seed, CHOOSING)
    mixed = [question for i in range(quarter) for question in (hits[2 * i], hits[2 * i + 1], flexible[i], leaks[i])]
    return mixed[:count]


def _free_tags(
    subject: Subject, world: World | None, random: np.random.Generator, leave_out: str | None
) -> tuple[str, ...]:
    """Constant tags and one seen value a free group; without a world (no groups) a whole caption's tags."""
    if world is None:
        caption = subject.captions[int(random.integers(len(subject.captions)))]
        return tuple(tag for tag in caption if tag != leave_out)
    drawn = {}
    for group, entries in subject.shown.items():
        value = entries[int(random.integers(len(entries)))]
        if value is not None and group != leave_out:
            drawn[group] = value
    order = [g for g in world.groups if g in drawn] + [g for g in drawn if g not in world.groups]
    return (*subject.constant, *(drawn[group] for group in order))


def _evenly(pairs: Sequence[tuple[str, str]], count: int, random: np.random.Generator) -> list[tuple[str, str]]:
    """`count` of `pairs`, groups in turn and inside a group every value in turn, in random order."""
    by_group: dict[str, list[str]] = {}
    for index in random.permutation(len(pairs)):
        group, value = pairs[int(index)]
        by_group.setdefault(group, []).append(value)
    names = list(by_group)
    chosen = []
    for i in range(count):
        values = by_group[names[i % len(names)]]
        chosen.append((names[i % len(names)], values[(i // len(names)) % len(values)]))
    return chosen


def _random(seed: int, stream: int, sheet: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, sheet])


def _picture_seed(random: np.random.Generator) -> int:
    return int(random.integers(2**31))
