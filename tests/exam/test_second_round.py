"""A second round in the toy world: what is new beside the subject is drawn with the base's help, judged and kept."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from lorasmith.dataset.reading import read_dataset
from lorasmith.errors import ExamError
from lorasmith.events import finish
from lorasmith.exam.drawing import Row
from lorasmith.exam.looks import Observer
from lorasmith.exam.second_round import SecondRound, collect
from lorasmith.exam.settings import read_settings
from lorasmith.exam.training_set import look_at_training_set
from lorasmith.face import rounds
from lorasmith.project import Project, open_project
from lorasmith.prompts.borrowing import borrow
from tests.exam.toy import VALUES, WORLD, ToyArtist, ToyJudge, make_project, paint

UNSEEN = {*VALUES["hat"], "open mouth", "pink background"}


class Swallowing(ToyArtist):
    """Its adapter draws what no training image shows only where the base helps, and then in `luck` of the pictures; of
    a crown nothing helps."""

    luck = 0.5

    def draw(self, rows: Sequence[Row]) -> list[Image.Image]:
        self.drawn += rows
        return [paint(self._see(row)) for row in rows]

    def _see(self, row: Row) -> dict[str, str | None]:
        whole, borrowed = borrow(row.prompt)
        seen = self._imagine(Row(whole, row.seed, row.adapter))
        lucky = bool(borrowed) and random.Random(row.seed).random() < self.luck
        if row.adapter is not None:
            if not lucky:
                seen |= {"mouth": "smile", "background": "blue background", "hat": None}
            if seen["hat"] == "crown":
                seen["hat"] = None
        return seen


def project_of(root: Path) -> tuple[Project, Path]:
    project = open_project(make_project(root))
    adapter = project.root / "a.safetensors"
    adapter.write_bytes(b"weights")
    return project, adapter


def draw(project: Project, adapter: Path, artist: ToyArtist, count: int | None = None) -> SecondRound:
    return finish(collect(project, adapter, artist, Observer(ToyJudge(), None), read_settings(project), WORLD, count))


def test_what_is_new_is_kept_evenly_and_what_never_comes_is_given_up(tmp_path: Path) -> None:
    project, adapter = project_of(tmp_path / "p")
    artist = Swallowing({"a": 1.0})
    found = draw(project, adapter, artist)
    shown = Counter(picture.value for picture in found.kept)
    assert len(found.kept) == 24
    assert set(shown) == UNSEEN - {"crown"}
    assert found.missed == ("crown",)
    assert max(shown.values()) - min(shown.values()) <= 4
    asked = [row for row in artist.drawn if row.adapter is not None]
    assert all("<base:" in row.prompt for row in asked)
    assert sum("<base:crown>" in row.prompt for row in asked) <= 24
    judge = ToyJudge()
    for picture in found.kept:
        (seen,) = judge.describe([Image.open(picture.path)])
        assert picture.value in seen.values()
        assert picture.value in picture.prompt
        assert "<base" not in picture.prompt


def test_an_interrupted_round_goes_on_with_what_was_drawn(tmp_path: Path) -> None:
    project, adapter = project_of(tmp_path / "p")
    first = draw(project, adapter, Swallowing({"a": 1.0}))
    for file in sorted((project.cache / "rounds").glob("*/*.json"))[:1]:
        file.unlink()  # as if it had been stopped in a wave
    again = Swallowing({"a": 1.0})
    assert draw(project, adapter, again) == first
    assert 0 < len(again.drawn) <= 24


def test_with_nothing_new_to_ask_for_it_says_so(tmp_path: Path) -> None:
    project, adapter = project_of(tmp_path / "p")
    work = collect(project, adapter, ToyArtist({"a": 1.0}), Observer(ToyJudge(), None), read_settings(project), None)
    with pytest.raises(ExamError, match="nothing is left to ask for"):
        finish(work)


def test_what_was_kept_becomes_images_that_do_not_change_the_exams_subject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, adapter = project_of(tmp_path / "p")

    def draw_round(project: Project, file: Path | None, count: int | None) -> object:
        artist, settings = Swallowing({"a": 1.0}), read_settings(project)
        return collect(project, file or adapter, artist, Observer(ToyJudge(), None), settings, WORLD, count)

    monkeypatch.setattr("lorasmith.exam.second_round.draw_second_round", draw_round)
    before, images = finish(look_at_training_set(project, read_settings(project), ToyJudge(), WORLD))
    theirs = {path: path.read_bytes() for path in (project.root / "images").iterdir()}
    adopted = finish(rounds.adopt_round(project, adapter, 6))
    assert {path: path.read_bytes() for path in (project.root / "images").iterdir()} == theirs
    distinct = {picture.path.read_bytes() for picture in adopted.drawn.kept}  # the toy's are few
    assert len(adopted.made) == len(distinct) > 2
    dataset = finish(read_dataset(project))
    taken = [item for item in dataset.items if item.is_adopted]
    assert len(taken) == len(distinct)
    assert {item.caption for item in taken} <= {picture.prompt for picture in adopted.drawn.kept}
    after, same = finish(look_at_training_set(project, read_settings(project), ToyJudge(), WORLD))
    assert (after, len(same)) == (before, len(images))
