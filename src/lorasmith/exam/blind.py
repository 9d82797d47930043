"""A blind comparison of two adapters by a person: pairs of pictures, drawn once, of which nobody says which is which.

Both pictures of a pair have the same prompt, a caption of the training images, and the same seed. The folder
exams/blind-<time>/ holds comparison.json (what is compared, and which stands left), the pictures, and answers.jsonl.
"""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lorasmith.errors import ExamError
from lorasmith.events import Progress, Work, eta
from lorasmith.exam.drawing import Artist, PipelineArtist, Row, exam_base
from lorasmith.exam.figures import Figure, wilson
from lorasmith.exam.settings import read_settings
from lorasmith.project import Project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.storage.files import write_file

if TYPE_CHECKING:
    from PIL.Image import Image

PREFIX = "blind-"
FILE, ANSWERS = "comparison.json", "answers.jsonl"
Side = Literal["left", "right", "same"]
_AT_ONCE = 4


@dataclass(frozen=True)
class Pair:
    """One pair: what was asked for, and which adapter (0 or 1) stands left."""

    prompt: str
    seed: int
    left: int


@dataclass(frozen=True)
class Comparison:
    """Two adapters and the pairs that were or will be drawn of them."""

    folder: Path
    adapters: tuple[Path, Path]
    strength: float
    pairs: tuple[Pair, ...]

    def picture(self, number: int, side: str) -> Path:
        """The picture of a pair that stands on a side."""
        return self.folder / f"{number:03d}-{side}.png"

    @property
    def drawn(self) -> int:
        """How many pairs are there; they are drawn one after another."""
        return next((n for n in range(len(self.pairs)) if not self._is_there(n)), len(self.pairs))

    def _is_there(self, number: int) -> bool:
        return all(self.picture(number, side).is_file() for side in ("left", "right"))

    def answers(self) -> dict[int, Side]:
        """What was answered, the last answer to each pair."""
        found: dict[int, Side] = {}
        with suppress(OSError):
            for line in (self.folder / ANSWERS).read_text("utf-8").splitlines():
                with suppress(ValueError, KeyError, TypeError):
                    given = json.loads(line)
                    if given["side"] in ("left", "right", "same"):
                        found[int(given["pair"])] = given["side"]
        return found

    def answer(self, number: int, side: Side) -> None:
        """Keep an answer. Raises ExamError for a pair that is not there."""
        if not 0 <= number < self.drawn:
            raise ExamError(f"pair {number}: not there.", where=self.folder)
        with (self.folder / ANSWERS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"pair": number, "side": side, "time": time.time()}) + "\n")

    def result(self) -> tuple[int, int, int, Figure]:
        """How often the first was preferred, the second, neither; and the share of the second among decided pairs."""
        first = second = same = 0
        for number, side in self.answers().items():
            if number >= len(self.pairs):
                continue
            if side == "same":
                same += 1
            elif (self.pairs[number].left == 1) == (side == "left"):
                second += 1
            else:
                first += 1
        return first, second, same, wilson(second, first + second)

    def as_json(self, *, reveal: bool | None = None) -> dict[str, Any]:
        """JSON-ready. Which is which is told once all pairs are answered, or with `reveal`."""
        answers = self.answers()
        ended = len(answers) >= len(self.pairs) if reveal is None else reveal
        first, second, same, figure = self.result()
        result = None
        if ended:
            result = {
                "preferred": [first, second],
                "same": same,
                "share_of_second": figure.as_json(),
                "clear": figure.n > 0 and (figure.low > 0.5 or figure.high < 0.5),
            }
        return {
            "id": self.folder.name,
            "adapters": [path.name for path in self.adapters],
            "paths": [str(path) for path in self.adapters],
            "strength": self.strength,
            "drawn": self.drawn,
            "answered": len(answers),
            "pairs": [
                {"number": number, "prompt": pair.prompt, "answer": answers.get(number)}
                for number, pair in enumerate(self.pairs)
            ],
            "result": result,
        }


def compare(
    project: Project, one: Path, other: Path, *, pairs: int = 20, strength: float = 1.0, artist: Artist | None = None
) -> Work[Comparison]:
    """Draw the pairs of a comparison, or what is missing of one that was stopped. Raises ExamError."""
    for file in (one, other):
        if not file.is_file():
            raise ExamError("no such adapter file.", where=file)
    if one.resolve() == other.resolve():
        raise ExamError("these are the same file.", where=one, hint="Name two.")
    comparison = _open(project, (one.resolve(), other.resolve()), strength, pairs)
    if comparison is None:
        prompts = yield from _prompts(project, pairs)
        comparison = _create(project, (one.resolve(), other.resolve()), strength, prompts)
    if comparison.drawn == len(comparison.pairs):
        return comparison
    if artist is None:
        recipe, settings = read_recipe(project), read_settings(project)
        base = exam_base(recipe.base, settings, recipe.stated_prediction)
        artist = PipelineArtist(base, comparison.adapters, settings, settings.clip_skip or recipe.clip_skip)
    began, already = time.monotonic(), comparison.drawn
    for first in range(already, len(comparison.pairs), _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, len(comparison.pairs)))
        rows = [row for number in numbers for row in _rows(comparison, comparison.pairs[number])]
        pictures = artist.draw(rows)
        for place, number in enumerate(numbers):
            _save(comparison.picture(number, "left"), pictures[2 * place])
            _save(comparison.picture(number, "right"), pictures[2 * place + 1])
        done = numbers[-1] + 1
        left = eta(began, done - already, len(comparison.pairs) - already)
        yield Progress("drawing pairs", done, len(comparison.pairs), left)
    return comparison


def comparisons(project: Project) -> list[Comparison]:
    """The comparisons of a project, the newest first."""
    files = sorted(project.exams.glob(f"{PREFIX}*/{FILE}"), key=lambda file: file.parent.name, reverse=True)
    return [found for file in files if (found := _read(file)) is not None]


def _rows(comparison: Comparison, pair: Pair) -> Iterator[Row]:
    for which in (pair.left, 1 - pair.left):
        yield Row(pair.prompt, pair.seed, comparison.adapters[which], comparison.strength)


def _prompts(project: Project, count: int) -> Work[list[str]]:
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.tags.pipeline import write_captions

    dataset = yield from read_dataset(project)
    captions = sorted({text for text in write_captions(project, dataset).captions.values() if text})
    if not captions:
        raise ExamError("there are no captions to draw pictures by.", where=project.root)
    chance = random.Random(len(captions))
    chance.shuffle(captions)
    return [captions[number % len(captions)] for number in range(count)]


def _create(project: Project, adapters: tuple[Path, Path], strength: float, prompts: list[str]) -> Comparison:
    stem = f"{PREFIX}{time.strftime('%Y%m%d-%H%M%S')}"
    folder, number = project.exams / stem, 2
    while folder.exists():
        folder, number = project.exams / f"{stem}-{number}", number + 1
    folder.mkdir(parents=True)
    chance = random.SystemRandom()
    pairs = tuple(Pair(prompt, 30_000 + n, chance.randrange(2)) for n, prompt in enumerate(prompts))
    document = {
        "adapters": [str(path) for path in adapters],
        "strength": strength,
        "pairs": [vars(pair) for pair in pairs],
    }
    write_file(folder / FILE, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    return Comparison(folder, adapters, strength, pairs)


def _open(project: Project, adapters: tuple[Path, Path], strength: float, count: int) -> Comparison | None:
    """A comparison of the same that is not all drawn."""
    for found in comparisons(project):
        same = (found.adapters, found.strength, len(found.pairs)) == (adapters, strength, count)
        if same and found.drawn < len(found.pairs):
            return found
    return None


def _read(file: Path) -> Comparison | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        document = json.loads(file.read_text("utf-8"))
        one, other = (Path(str(path)) for path in document["adapters"])
        pairs = tuple(Pair(str(each["prompt"]), int(each["seed"]), int(each["left"])) for each in document["pairs"])
        return Comparison(file.parent, (one, other), float(document["strength"]), pairs)
    return None


def _save(file: Path, picture: Image) -> None:
    out = io.BytesIO()
    picture.save(out, format="PNG")
    write_file(file, out.getvalue())
