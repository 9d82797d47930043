"""Every kind of subject has questions; a sheet is written, changed and read; a style needs no word of the judge's."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lorasmith.errors import ExamError
from lorasmith.events import finish
from lorasmith.exam.examination import examine
from lorasmith.exam.judges import Group
from lorasmith.exam.questions import REPORTING, Paper
from lorasmith.exam.settings import read_settings
from lorasmith.exam.sheets.file import read_sheet, write_sheet
from lorasmith.exam.sheets.kinds import KINDS, contradictions, counts_of
from lorasmith.exam.subject import Subject, read_subject
from lorasmith.project import SubjectKind, open_project
from tests.exam.toy import GROUPS, IDENTITY, TRIGGER, WORLD, ToyArtist, ToyJudge, make_project

TAGS = (
    "red hair",
    "blue hair",
    "2girls",
    "smile",
    "forest",
    "night",
    "sitting",
    "1boy",
    "1girl",
    "cat",
    "broken",
    "snow",
    "dress",
    "flower",
    "rain",
    "hug",
)
FLAT = {tag: Group(tag, (tag,), optional=True) for tag in TAGS}


def _flat_subject(kind: str) -> Subject:
    """As a tag judge sees it: red hair in every image, two girls in every caption."""
    seen = [{tag: tag if tag in ("red hair", "2girls") else None for tag in TAGS} for _ in range(10)]
    captions = [f"zbk, 2girls, {'smile' if i % 2 else 'sitting'}" for i in range(10)]
    return read_subject(
        trigger="zbk", kind=kind, captions=captions, seen=seen, groups=FLAT, world=None, identity=("red hair",)
    )


@pytest.mark.parametrize("kind", list(SubjectKind))
def test_every_kind_is_asked_for_what_it_never_saw(kind: str) -> None:
    assert kind in KINDS
    subject = _flat_subject(kind)
    paper = Paper(subject, None, 7)
    asked = {value for question in paper.ask("flexibility", 40, REPORTING) for value in question.asked.values()}
    assert asked
    assert asked <= set(KINDS[kind].asks)
    assert not asked & {"smile", "sitting", "2girls"}
    override = paper.ask("override", 6, REPORTING)
    assert {value for question in override for value in question.asked.values()} == {"blue hair"}
    assert all("red hair" in question.hidden and "blue hair" in question.prompt for question in override)
    assert ("2girls" in subject.identity) == (kind == SubjectKind.COUPLE)


def test_contradictions_are_other_colours() -> None:
    assert "blue hair" in contradictions("red_hair")
    assert "red hair" not in contradictions("red hair")
    assert contradictions("smile") == ()
    assert counts_of("couple", ["1girl", "2girls", "smile", "couple", "multiple boys"]) == (
        "1girl",
        "2girls",
        "couple",
        "multiple boys",
    )
    assert counts_of("character", ["2girls"]) == ()


def _toy_subject(root: Path) -> Subject:
    from lorasmith.exam.training_set import look_at_training_set

    project = open_project(make_project(root))
    return finish(look_at_training_set(project, read_settings(project), ToyJudge(), WORLD))[0]


def test_a_written_sheet_asks_the_same_again(tmp_path: Path) -> None:
    paper = Paper(_toy_subject(tmp_path / "p"), WORLD, 3)
    file = tmp_path / "questions.toml"
    file.write_text(write_sheet(paper))
    assert tomllib.loads(file.read_text())["trigger"] == TRIGGER
    given = read_sheet(file, TRIGGER, GROUPS)
    assert set(given) == {"hit", "flexibility", "override", "leakage", "untriggered"}
    for kind, questions in given.items():
        written = {(q.prompt, q.base_prompt, tuple(q.asked.items()), q.hidden) for q in paper.ask(kind, 40, REPORTING)}
        assert {(q.prompt, q.base_prompt, tuple(q.asked.items()), q.hidden) for q in questions} <= written
    # Each time round the prompts come on fresh seeds.
    read = Paper(paper.subject, WORLD, 3, given)
    hits = read.ask("hit", 60, REPORTING)
    assert len({question.seed for question in hits}) == 60
    assert hits[0].prompt == hits[len(given["hit"])].prompt


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[[hit]]\npromt = "zbk"', "promt = 'zbk': unknown key"),
        ('[[hit]]\nprompt = "somebody"', "does not call 'zbk'"),
        ("hit = []", "asks for no hits"),
        ('[[flexibility]]\nprompt = "zbk"', "nothing is asked for"),
        ('[[flexibility]]\nprompt = "zbk"\nasked = { hiar = "red hair" }', 'Did you mean "hair"'),
        ('[[flexibility]]\nprompt = "zbk"\nasked = { hair = "gren hair" }', 'Did you mean "green hair"'),
        ("[[hit]", "cannot be read"),
    ],
)
def test_faults_of_a_sheet_are_named(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "questions.toml"
    file.write_text(text)
    with pytest.raises(ExamError, match=fault.replace("(", r"\(")):
        read_sheet(file, "zbk", GROUPS)
    with pytest.raises(ExamError, match="no such question sheet"):
        read_sheet(tmp_path / "none.toml", "zbk", GROUPS)


def test_only_what_the_sheet_says_is_asked(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p", "pictures = 16\nseed = 3")
    project = open_project(root)
    file = tmp_path / "questions.toml"
    file.write_text(
        f'override = []\nuntriggered = []\n[[hit]]\nprompt = "{TRIGGER}, 1person, frown"\n'
        f'[[leakage]]\nprompt = "1person, smile"\n'
    )
    artist = ToyArtist({"a": 0.9})
    given = read_sheet(file, TRIGGER, GROUPS)
    work = examine(project, [root / "a.safetensors"], artist, read_settings(project), ToyJudge(), WORLD, given=given)
    verdict = finish(work)
    assert verdict.figures["hit_rate"].n == 16
    assert verdict.figures["override"].n == 0
    assert verdict.figures["flexibility"].n > 0
    called = {row.prompt for row in artist.drawn if row.adapter is not None and TRIGGER in row.prompt}
    assert {prompt for prompt in called if "frown" in prompt} >= {f"{TRIGGER}, 1person, frown"}


class Levels:
    """An encoder of the toy's pictures: which brightness each stripe has, one of six."""

    name = "levels"

    def encode(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        levels = np.stack([np.asarray(image.convert("L"))[10, 4::8] // 39 for image in images])
        found: NDArray[np.float32] = np.eye(6, dtype=np.float32)[levels].reshape(len(images), -1)
        return found


KNOWN = {name: group for name, group in GROUPS.items() if name not in IDENTITY}


class Nameless(ToyJudge):
    """Has no word for what is common: it sees every group but those of the identity."""

    def __init__(self) -> None:
        super().__init__(groups=KNOWN)

    def describe(self, images: Sequence[Image.Image]) -> list[dict[str, str | None]]:
        return [{name: tag for name, tag in seen.items() if name not in IDENTITY} for seen in super().describe(images)]


def test_a_style_without_a_name_is_judged_by_likeness(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p", "pictures = 60\nseed = 3")
    toml = root / "lora.toml"
    toml.write_text(toml.read_text().replace('"character"', '"style"'))
    project = open_project(root)
    settings, files = read_settings(project), [root / "a.safetensors"]
    with pytest.raises(ExamError, match="nothing is common"):
        finish(examine(project, files, ToyArtist({"a": 0.9}), settings, Nameless(), WORLD))
    work = examine(project, files, ToyArtist({"a": 0.8}), settings, Nameless(), WORLD, Levels())
    verdict = finish(work)
    hit = verdict.figures["hit_rate"]
    assert verdict.facts["judged"][0] == "likeness"
    assert hit.low < 0.8 < hit.high
    assert verdict.figures["likeness"].n == 60
    assert verdict.base["hit_rate"].value < 0.1


class Blind(Levels):
    """An encoder to which all pictures are alike."""

    def encode(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        return np.ones((len(images), 4), np.float32)


def test_what_nobody_can_judge_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    root = make_project(tmp_path / "p", "pictures = 24\nseed = 3")
    project = open_project(root)
    files, settings = [root / "a.safetensors"], read_settings(project)
    with pytest.raises(ExamError, match="nobody can judge this subject"):
        finish(examine(project, files, ToyArtist({"a": 0.9}), settings, Nameless(), WORLD, Blind()))
    assert list((root / "exams").iterdir()) == []
