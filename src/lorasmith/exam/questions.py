"""Question sheets: prompts with the attributes that must be seen, and the base's own prompt on the same seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from lorasmith.bases.tag_space import TagSpace
from lorasmith.exam.subject import Subject
from lorasmith.tags.words import join_tags, split_tags, tag_key

Kind = Literal["hit", "flexibility", "override", "leakage", "untriggered"]
#: Streams of questions: what chooses a snapshot never reports on it; the grid, and a second round, have their own.
CHOOSING, REPORTING, SHOWING, WINDOW, STACKING, ROUND = 1, 2, 3, 4, 5, 6
#: Scenes drawn before a value is asked for where it may be hard to see.
TRIES = 50


@dataclass(frozen=True)
class Question:
    """One prompt for the adapter and one for the base, drawn from the same `seed`.

    `asked`: what must be seen besides the identity (flexibility). Questions of leakage, and untriggered ones, name no
    trigger.
    `hidden`: groups that a picture of this prompt cannot show, so that nobody judges them.
    """

    kind: Kind
    prompt: str
    base_prompt: str
    seed: int
    asked: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()


def hit_sheet(subject: Subject, world: TagSpace | None, count: int, seed: int, stream: int) -> list[Question]:
    """`count` prompts with the trigger and free attributes as they were seen in training (C2).

    The base gets the same prompt: its hits are what the words alone are worth.
    """
    random = _random(seed, stream, 1)
    questions = []
    for _ in range(count):
        scene = _scene(subject, world, random)
        prompt = join_tags((subject.trigger, *scene.tags))
        questions.append(Question("hit", prompt, prompt, _picture_seed(random), hidden=scene.hidden))
    return questions


def flexibility_sheet(subject: Subject, world: TagSpace | None, count: int, seed: int, stream: int) -> list[Question]:
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
        scene = _scene(subject, world, random, (group, value))
        prompt = join_tags((subject.trigger, *scene.tags))
        base_prompt = join_tags((*_known_style(subject, world), *scene.tags))
        questions.append(
            Question("flexibility", prompt, base_prompt, _picture_seed(random), {group: value}, scene.hidden)
        )
    return questions


def leakage_sheet(subject: Subject, world: TagSpace | None, count: int, seed: int, stream: int) -> list[Question]:
    """`count` prompts without the trigger: random ones of the base's world, or else the captions' own (C6)."""
    random = _random(seed, stream, 3)
    questions = []
    for _ in range(count):
        if world:
            drawn = world.draw(random)
            tags, hidden = world.prompt(drawn), world.hidden(drawn)
        else:
            tags, hidden = subject.captions[int(random.integers(len(subject.captions)))], frozenset()
        prompt = join_tags(tags)
        questions.append(Question("leakage", prompt, prompt, _picture_seed(random), hidden=hidden))
    return questions


def untriggered_sheet(subject: Subject, world: TagSpace | None, count: int, seed: int, stream: int) -> list[Question]:
    """`count` prompts like the training captions, but without the trigger (C6): an adapter that took the scene for
    its trigger answers them. Empty without a world, where the leakage sheet asks just that.
    """
    if world is None:
        return []
    random = _random(seed, stream, 4)
    questions = []
    for _ in range(count):
        scene = _scene(subject, world, random)
        prompt = join_tags(scene.tags)
        questions.append(Question("untriggered", prompt, prompt, _picture_seed(random), hidden=scene.hidden))
    return questions


def override_sheet(subject: Subject, world: TagSpace | None, count: int, seed: int, stream: int) -> list[Question]:
    """`count` prompts that name another value of one trait of the subject: each trait and value in turn (C4).

    Right is the value asked for with all other traits kept. Empty where the base has no other value of any trait; a
    style is no such trait, as prompts name none.
    """
    if world is None:
        return _colours_sheet(subject, count, _random(seed, stream, 5))
    pairs = [
        (group, value)
        for group, trait in subject.identity.items()
        if group in world.groups and group != world.style_group
        for value in world.within(group, subject.style)
        if tag_key(value) != tag_key(trait)
    ]
    if not pairs:
        return []
    random = _random(seed, stream, 5)
    questions = []
    for group, value in _evenly(pairs, count, random):
        scene = _scene(subject, world, random, (group, value))
        prompt = join_tags((subject.trigger, *scene.tags))
        base_prompt = join_tags((*_known_style(subject, world), *scene.tags))
        asked, hidden = {group: value}, scene.hidden - {group}
        questions.append(Question("override", prompt, base_prompt, _picture_seed(random), asked, hidden))
    return questions


def _colours_sheet(subject: Subject, count: int, random: np.random.Generator) -> list[Question]:
    """The same without a world: captions with another colour of a trait. Judges there have a group for each tag, so the
    trait's own is not asked about."""
    ways = [(name, group, value) for name, pairs in subject.contrary.items() for group, value in pairs]
    questions = []
    for number in range(count if ways else 0):
        name, group, value = ways[number % len(ways)]
        scene = _scene(subject, None, random, (group, value))
        prompt, base_prompt = join_tags((subject.trigger, *scene.tags)), join_tags(scene.tags)
        hidden = frozenset({name})
        questions.append(Question("override", prompt, base_prompt, _picture_seed(random), {group: value}, hidden))
    return questions


def described(question: Question, subject: Subject) -> str:
    """The prompt with the subject's traits in words in place of its trigger: what words can do without an adapter."""
    rest = question.prompt.removeprefix(subject.trigger).strip(", ")
    return join_tags((*subject.identity.values(), *split_tags(rest)))


def choosing_sheet(subject: Subject, world: TagSpace | None, count: int, seed: int) -> list[Question]:
    """A mixed sheet for comparing snapshots: of every four questions two hits, one flexibility, one leakage."""
    return Paper(subject, world, seed).mixed(count)


@dataclass(frozen=True)
class Paper:
    """All questions of an exam, by kind: found by themselves, or those `given`, turn by turn, each on a fresh seed."""

    subject: Subject
    world: TagSpace | None
    seed: int
    given: Mapping[Kind, Sequence[Question]] = field(default_factory=dict)

    def ask(self, kind: Kind, count: int, stream: int) -> list[Question]:
        """`count` questions of a kind (none where there is nothing to ask), a function of seed and stream."""
        known = self.given.get(kind)
        if known is None:
            return _SHEETS[kind](self.subject, self.world, count, self.seed, stream)
        random = _random(self.seed, stream, 10 + list(_SHEETS).index(kind))
        turns = (known[i % len(known)] for i in range(count if known else 0))
        return [replace(question, seed=_picture_seed(random)) for question in turns]

    def mixed(self, count: int) -> list[Question]:
        """For comparing snapshots: of every four questions two hits, one flexibility, one leakage. Any prefix of whole
        fours has the same mixture, so that rounds can go on where the last one stopped."""
        quarter = -(-count // 4)
        hits = self.ask("hit", 3 * quarter, CHOOSING)
        flexible = self.ask("flexibility", quarter, CHOOSING) or hits[2 * quarter :]
        leaks = self.ask("leakage", quarter, CHOOSING) or hits[2 * quarter :]
        mixed = [question for i in range(quarter) for question in (hits[2 * i], hits[2 * i + 1], flexible[i], leaks[i])]
        return mixed[:count]


_SHEETS: Mapping[Kind, Callable[[Subject, TagSpace | None, int, int, int], list[Question]]] = {
    "hit": hit_sheet,
    "flexibility": flexibility_sheet,
    "override": override_sheet,
    "leakage": leakage_sheet,
    "untriggered": untriggered_sheet,
}


@dataclass(frozen=True)
class _Scene:
    """The free part of a prompt, and what a picture of it cannot show."""

    tags: tuple[str, ...]
    hidden: frozenset[str]


def _scene(
    subject: Subject, world: TagSpace | None, random: np.random.Generator, asked: tuple[str, str] | None = None
) -> _Scene:
    """Constant tags, one seen value a free group, and what is `asked`; without a world a whole caption's tags."""
    if world is None:
        caption = subject.captions[int(random.integers(len(subject.captions)))]
        return _Scene((*caption, asked[1]) if asked else caption, frozenset())
    for _ in range(TRIES):
        drawn = {group: entries[int(random.integers(len(entries)))] for group, entries in subject.shown.items()}
        chosen = {group: tag for group, tag in drawn.items() if tag is not None}
        if asked:
            chosen[asked[0]] = asked[1]
        whole = {**({world.style_group: subject.style} if subject.style else {}), **subject.identity, **chosen}
        hidden = world.hidden(whole)
        if asked is None or asked[0] not in hidden:
            break
    chosen = {group: tag for group, tag in chosen.items() if group not in hidden or (asked and group == asked[0])}
    order = [g for g in world.groups if g in chosen] + [g for g in chosen if g not in world.groups]
    return _Scene((*subject.constant, *(chosen[group] for group in order)), hidden)


def _known_style(subject: Subject, world: TagSpace | None) -> tuple[str, ...]:
    """The subject's style as the base would say it: nothing where it has none of its own or prompts name one."""
    if world is None or subject.style not in world.styles() or world.style_group in subject.shown:
        return ()
    return (subject.style,)


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
