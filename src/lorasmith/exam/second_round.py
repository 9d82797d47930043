"""Pictures for a second round of training (D15): the subject beside what no image shows (C4), drawn by its adapter with
the base's help and kept where the exam's judge finds both.

An adapter that saw nobody with sunglasses swallows them. What the base makes of the word is added while it draws
(`prompts.borrowing`), and of the pictures those are taken that show the asked value, the whole identity and the
likeness. Trained again with them, the trigger knows that it can stand beside such things.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from lorasmith.bases.tag_space import TagSpace
from lorasmith.errors import ExamError
from lorasmith.events import Note, Work
from lorasmith.exam import questions as sheets
from lorasmith.exam.crew import hire
from lorasmith.exam.drawing import BATCH, Artist, Row
from lorasmith.exam.examination import Examinee, find_standards, tell_subject
from lorasmith.exam.folder import order_of
from lorasmith.exam.looks import Kept, Observer
from lorasmith.exam.plan import described_count, last_pace, tell_seconds
from lorasmith.exam.questions import Paper, Question
from lorasmith.exam.settings import ExamTable, read_settings
from lorasmith.exam.sitting import Clock, Sitting
from lorasmith.exam.sources import caption_tags, find_encoder, find_judge, newest_snapshots
from lorasmith.exam.standards import Standards
from lorasmith.exam.subject import Subject
from lorasmith.exam.training_set import look_at_training_set, read_training_subject
from lorasmith.project import Project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.storage.files import replacing, write_file
from lorasmith.tags.words import join_tags, split_tags, tag_key

if TYPE_CHECKING:
    from lorasmith.bases.base import Base

FEWEST, EACH = 24, 4
"""Pictures of a round: so many at least, so many of each value; never more than there are images."""
TRIES = 4
"""Pictures that are drawn at most for one to be kept."""
LIKELY = 2
"""Pictures that are drawn for one to be kept, as a rule: the demo's adapter drew 48 for 30 (docs/log.md)."""
HOPELESS = 8
"""Pictures after which a value that was never right is asked for no more."""
STRENGTH, STEPS, CFG = 1.0, 12, 1.0
"""How they are drawn. Guidance makes colours stronger; learnt so and guided again, they run over."""


@dataclass(frozen=True)
class RoundPlan:
    """What a round will be: with which `adapter`, of which `values`; `wanted` pictures to keep, for which about so many
    `pictures` are drawn, the base's own among them, in about so many `seconds` (None: no exam tells the pace)."""

    adapter: Path
    values: tuple[str, ...]
    wanted: int
    pictures: int
    seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """The stable document."""
        return dict(vars(self)) | {"adapter": str(self.adapter), "values": list(self.values)}

    def tell(self) -> str:
        """For a person."""
        time = "" if self.seconds is None else f", about {tell_seconds(self.seconds)} at the pace of the last exam"
        return (
            f"The round draws about {self.pictures} pictures{time}, to keep {self.wanted} that show one of: "
            f"{', '.join(self.values)}. It can be stopped and goes on later."
        )


@dataclass(frozen=True)
class RoundPicture:
    """A picture that was kept: its file, its prompt (a caption's tags), its seed, and the new value that it shows."""

    path: Path
    prompt: str
    seed: int
    value: str


@dataclass(frozen=True)
class SecondRound:
    """What was kept of so many `drawn`; `missed` are values that no picture showed beside the subject."""

    adapter: Path
    strength: float
    kept: tuple[RoundPicture, ...]
    drawn: int
    missed: tuple[str, ...]

    @property
    def shown(self) -> Counter[str]:
        """How many of the kept pictures show each value."""
        return Counter(picture.value for picture in self.kept)


def draw_second_round(
    project: Project,
    adapter: Path | None = None,
    count: int | None = None,
    strength: float = STRENGTH,
    base: Base | None = None,
) -> Work[SecondRound]:
    """Draw with `adapter` (that of the newest run) on the project's base until `count` pictures are kept. Raises
    ExamError."""
    settings, file = read_settings(project), _find_adapter(project, adapter)
    captions = yield from caption_tags(project)
    recipe = read_recipe(project)
    judge, world = find_judge(project, settings, recipe.base, captions)
    with hire(recipe, [file], settings, base) as crew:
        observer = Observer(judge, find_encoder(project, settings))
        return (yield from collect(project, file, crew, observer, settings, world, count, strength))


def plan_second_round(project: Project, adapter: Path | None = None, count: int | None = None) -> Work[RoundPlan]:
    """What `draw_second_round` would do; it looks at the images and draws nothing. Raises ExamError where that does."""
    settings, file = read_settings(project), _find_adapter(project, adapter)
    captions = yield from caption_tags(project)
    judge, world = find_judge(project, settings, read_recipe(project).base, captions)
    wordless = find_encoder(project, settings) is not None
    subject, images = yield from read_training_subject(project, settings, judge, world, wordless)
    return _plan(project, settings, file, subject, images, count, wordless)


def _find_adapter(project: Project, adapter: Path | None) -> Path:
    file = newest_snapshots(project)[-1] if adapter is None else adapter
    if not file.is_file():
        raise ExamError("no such adapter file.", where=file)
    return file


def _plan(
    project: Project,
    settings: ExamTable,
    file: Path,
    subject: Subject,
    images: int,
    count: int | None,
    encoder: bool,
) -> RoundPlan:
    """Of `images` training images. Raises ExamError where nothing new is known to ask for."""
    values = tuple(value for group in subject.unseen.values() for value in group)
    if not values:
        raise ExamError(
            "nothing is left to ask for: no value is known that the images do not show.",
            where=project.where("exam"),
            hint='Name some: ask = ["sunglasses", "hat", ...].',
        )
    wanted = min(images, max(FEWEST, EACH * len(values))) if count is None else count
    base = settings.base_count + (described_count(settings) if encoder and subject.identity else 0)
    pace = last_pace(project)
    seconds = None if pace is None else pace * (base + LIKELY * wanted * STEPS / settings.steps)
    return RoundPlan(file, values, wanted, base + LIKELY * wanted, seconds)


def collect(
    project: Project,
    file: Path,
    artist: Artist,
    observer: Observer,
    settings: ExamTable,
    world: TagSpace | None,
    count: int | None = None,
    strength: float = STRENGTH,
) -> Work[SecondRound]:
    """`count` pictures by the adapter in `file`, equally many of each value (None: 24 or more, 4 of each value; at most
    as many as there are images).

    They lie in the project's cache, wave by wave, so that an interrupted round goes on. Raises ExamError where nothing
    new is known to ask for.
    """
    judge = observer.judge
    subject, training = yield from look_at_training_set(project, settings, judge, world, observer.encoder is not None)
    plan = _plan(project, settings, file, subject, len(training), count, observer.encoder is not None)
    yield Note(tell_subject(subject))
    yield Note(plan.tell())
    wanted = plan.wanted
    order = order_of(project, settings, (file,), subject, training)
    folder = project.cache / "rounds" / _hash([order, wanted, strength])
    paper = Paper(subject, world, settings.seed)
    sitting = Sitting(artist, observer, Kept(folder / "looks"))
    standards, _ = yield from find_standards(
        Examinee(project, subject, (file,), training, judge, paper, sitting, settings)
    )
    yield Note(standards.tell())
    questions = paper.ask("flexibility", TRIES * (wanted + HOPELESS) * len(plan.values), sheets.ROUND)
    return (yield from _Drawing(folder, artist, observer, standards, file, strength).until(questions, wanted))


@dataclass(frozen=True)
class _Drawing:
    """Who draws a round, and where it lies."""

    folder: Path
    artist: Artist
    observer: Observer
    standards: Standards
    adapter: Path
    strength: float

    def until(self, questions: Sequence[Question], wanted: int) -> Work[SecondRound]:
        """Wave by wave, each of questions whose value still lacks pictures; what a wave asks hangs on what was kept, so
        that the same is asked when it goes on. A value that never came in `HOPELESS` pictures leaves its share to the
        others."""
        clock = Clock("drawing the second round", wanted)
        waiting, drawn = list(questions), 0
        kept: list[RoundPicture] = []
        values = tuple(dict.fromkeys(map(_value, questions)))
        asked: Counter[str] = Counter()
        of: Counter[str] = Counter()
        while len(kept) < wanted and drawn < TRIES * wanted + HOPELESS * len(values):
            hopeful = [value for value in values if of[value] or asked[value] < HOPELESS]
            most = -(-wanted // max(1, len(hopeful)))
            wanting = [each for each in waiting if _value(each) in hopeful and of[_value(each)] < most]
            wave = sorted(wanting, key=lambda each: of[_value(each)])[:BATCH]
            if not wave:
                break
            waiting = [question for question in waiting if question not in wave]
            for picture in self._draw(wave):
                if len(kept) < wanted:
                    kept.append(picture)
                    of[picture.value] += 1
            asked.update(map(_value, wave))
            drawn += len(wave)
            yield clock.tick(len(kept) - clock.done)
        return SecondRound(self.adapter, self.strength, tuple(kept), drawn, tuple(v for v in values if not of[v]))

    def _draw(self, wave: Sequence[Question]) -> Iterator[RoundPicture]:
        """The pictures of a wave that show it all, from what was kept or drawn now."""
        file = self.folder / f"{_hash([[question.prompt, question.seed] for question in wave])}.json"
        if not file.is_file():
            first = Row("", 0, self.adapter, self.strength, STEPS, cfg=CFG)
            rows = [replace(first, prompt=borrowing(question), seed=question.seed) for question in wave]
            pictures = self.artist.draw(rows)
            looks = self.observer.look(pictures)
            right = [self.standards.kept(question, look) for question, look in zip(wave, looks, strict=True)]
            for number, (picture, is_right) in enumerate(zip(pictures, right, strict=True)):
                if is_right:
                    _save(picture, file.with_name(f"{file.stem}-{number:02}.png"))
            write_file(file, json.dumps(right).encode())
        for number, (question, is_right) in enumerate(zip(wave, json.loads(file.read_text("utf-8")), strict=True)):
            if is_right:
                path = file.with_name(f"{file.stem}-{number:02}.png")
                yield RoundPicture(path, question.prompt, question.seed, _value(question))


def borrowing(question: Question) -> str:
    """The question's prompt, with the base's help for what is asked."""
    asked = {tag_key(value) for value in question.asked.values()}
    return join_tags(f"<base:{tag}>" if tag_key(tag) in asked else tag for tag in split_tags(question.prompt))


def _value(question: Question) -> str:
    return next(iter(question.asked.values()))


def _save(picture: Image.Image, path: Path) -> None:
    with replacing(path) as partial:
        picture.save(partial, "PNG")


def _hash(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]
