"""What a card tells, before any hub's form is given to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class CardFigure:
    """A figure of the exam: a share in [0, 1] with its 95 % interval and count, and the bare base's own."""

    value: float
    low: float
    high: float
    n: int
    base: float | None = None

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class CardExam:
    """An exam of this very file, held at `strength`. `judged` and `not_judged` say what somebody could look at;
    `unseen` what it was never trained with; `stacking` has what the exam says of each adapter beside it. `usable`: some
    strength was, or strengths were not looked at."""

    verdict: str
    figures: Mapping[str, CardFigure]
    judge: str
    agreement: float | None
    strength: float
    judged: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    stacking: tuple[Mapping[str, Any], ...] = ()
    usable: bool = True

    def figure(self, name: str) -> CardFigure | None:
        """The figure of this name, if it was measured."""
        found = self.figures.get(name)
        return found if found is not None and found.n else None


@dataclass(frozen=True)
class CardPicture:
    """A picture of a showcase: where it lies, what drew it, and how it was judged ("keep", "reject" or "")."""

    path: Path
    prompt: str
    negative: str
    seed: int | None
    base: str
    infotext: str
    mark: str = ""


@dataclass(frozen=True)
class CardSource:
    """Where some of the training pictures are from."""

    count: int
    place: str
    author: str
    licence: str


@dataclass(frozen=True)
class Card:
    """Everything that is told of an adapter. `name` is what calls it in prompts, `file` where it lies; `triggers` by
    what they call ("" for the whole). `base_id` is a hub's id, "" where the base has none. `strength` is what to type;
    it was `measured` by an exam, with its usable `window`, or not. `training` are (word, value) rows; `by_eye` is the
    share of showcase pictures that somebody kept."""

    name: str
    title: str
    file: Path
    kind: str
    triggers: Mapping[str, str]
    vision: str
    author: str
    licence: str
    family: str
    family_title: str
    base: str
    base_id: str
    algorithms: tuple[str, ...]
    algorithm_titles: tuple[str, ...]
    rank: int | None
    bytes: int
    hashes: Mapping[str, str]
    made: str
    strength: float
    measured: bool = False
    window: tuple[float, float] | None = None
    training: tuple[tuple[str, str], ...] = ()
    images: int | None = None
    sources: tuple[CardSource, ...] = ()
    source: str = ""
    real_person: bool = False
    consent: str = ""
    known_provenance: bool = False
    exam: CardExam | None = None
    by_eye: CardFigure | None = None
    pictures: tuple[CardPicture, ...] = ()

    @property
    def trigger(self) -> str:
        """The first trigger; "" where none is known."""
        return next(iter(self.triggers.values()), "")

    @property
    def call(self) -> str:
        """What is typed to have it: ``zbk <lora:zbk:0.8>``."""
        return " ".join(part for part in (self.trigger, f"<lora:{self.name}:{self.strength:g}>") if part)

    @property
    def words(self) -> tuple[str, ...]:
        """Everything that the refusal list is held against."""
        texts = (self.name, self.title, self.vision, *self.triggers.values(), *self.triggers)
        return (*texts, *(picture.prompt for picture in self.pictures))

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; pictures by the names that they have beside the card, no path of this computer."""
        exam = self.exam
        return {
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "triggers": dict(self.triggers),
            "vision": self.vision,
            "author": self.author,
            "licence": self.licence,
            "family": self.family,
            "base": self.base,
            "base_id": self.base_id or None,
            "algorithms": list(self.algorithms),
            "rank": self.rank,
            "bytes": self.bytes,
            "hashes": dict(self.hashes),
            "made": self.made,
            "call": self.call,
            "strength": {
                "recommended": self.strength,
                "measured": self.measured,
                "low": None if self.window is None else self.window[0],
                "high": None if self.window is None else self.window[1],
            },
            "training": dict(self.training),
            "images": self.images,
            "sources": [dict(vars(source)) for source in self.sources],
            "source": self.source,
            "real_person": self.real_person if self.known_provenance else None,
            "consent": self.consent,
            "exam": None if exam is None else _exam_json(exam),
            "by_eye": None if self.by_eye is None else self.by_eye.as_json(),
            "pictures": [
                {
                    "file": picture_name(number),
                    "prompt": picture.prompt,
                    "negative": picture.negative,
                    "seed": picture.seed,
                    "base": picture.base,
                    "kept": picture.mark == "keep",
                }
                for number, picture in enumerate(self.pictures, 1)
            ],
        }


def picture_name(number: int) -> str:
    """What the picture of this number is called beside the card."""
    return f"images/{number:02d}.png"


def _exam_json(exam: CardExam) -> dict[str, Any]:
    return {
        "verdict": exam.verdict,
        "strength": exam.strength,
        "figures": {name: figure.as_json() for name, figure in exam.figures.items()},
        "judge": exam.judge,
        "agreement": exam.agreement,
        "judged": list(exam.judged),
        "not_judged": list(exam.not_judged),
        "unseen": list(exam.unseen),
        "stacking": [dict(each) for each in exam.stacking],
    }
